//! Work in the lane, whatever its result.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{HasherError, pace::Cost};
use crate::password::{Workspace, bcrypt};

/// Work that waits for a thread.
pub(super) trait Job: Send {
    fn cost(&self) -> Cost;

    /// What bcrypt is to compute for it, perhaps together with that of other jobs, before it is finished.
    fn bcrypt(&self) -> &[bcrypt::Computation];

    /// Does the rest of the work, and answers. `outputs` are those of [`Self::bcrypt`].
    fn finish(self: Box<Self>, outputs: &[bcrypt::Output], workspace: &mut Workspace);

    /// Answers that others kept going before it, and would for so long.
    fn refuse(self: Box<Self>, wait: Duration);
}

/// A job whose caller waits for its answer.
pub(super) struct Pending<Work, Output> {
    pub(super) cost: Cost,
    pub(super) bcrypt: Vec<bcrypt::Computation>,
    pub(super) work: Work,
    pub(super) answer: oneshot::Sender<Result<Output, HasherError>>,
    /// Of the request, so that a log line of the work names it.
    pub(super) span: tracing::Span,
}

impl<Work, Output> Job for Pending<Work, Output>
where
    Work: FnOnce(&[bcrypt::Computation], &[bcrypt::Output], &mut Workspace) -> Output + Send,
    Output: Send,
{
    fn cost(&self) -> Cost {
        self.cost
    }

    fn bcrypt(&self) -> &[bcrypt::Computation] {
        &self.bcrypt
    }

    fn finish(self: Box<Self>, outputs: &[bcrypt::Output], workspace: &mut Workspace) {
        let Self { bcrypt, work, answer, span, .. } = *self;
        let output = span.in_scope(|| work(&bcrypt, outputs, workspace));
        // The client may have gone while the hash was computed.
        let _gone = answer.send(Ok(output));
    }

    fn refuse(self: Box<Self>, wait: Duration) {
        let _gone = self.answer.send(Err(HasherError::Busy(wait)));
    }
}
