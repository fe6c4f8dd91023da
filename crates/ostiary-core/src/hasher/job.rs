//! Work in the lane, whatever its result.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{HasherError, pace::Cost};
use crate::password::{Workspace, bcrypt};

/// Work that waits for a thread, or that a thread does. Two may do it, where one of them is held up; the first
/// of them answers.
pub(super) trait Job: Send + Sync {
    fn cost(&self) -> Cost;

    /// What bcrypt is to compute for it, perhaps together with that of other jobs, before it is finished.
    fn bcrypt(&self) -> &[bcrypt::Computation];

    /// Does the rest of the work, and answers. `outputs` are those of [`Self::bcrypt`].
    fn finish(&self, outputs: &[bcrypt::Output], workspace: &mut Workspace);

    /// Answers that others kept going before it, and would for so long.
    fn refuse(&self, wait: Duration);

    /// Whether somebody still waits for its answer.
    fn is_awaited(&self) -> bool;
}

/// A job whose caller waits for its answer.
pub(super) struct Pending<Work, Output> {
    pub(super) cost: Cost,
    pub(super) bcrypt: Vec<bcrypt::Computation>,
    pub(super) work: Work,
    /// Gone once it is answered.
    pub(super) answer: Mutex<Option<oneshot::Sender<Result<Output, HasherError>>>>,
    /// Of the request, so that a log line of the work names it.
    pub(super) span: tracing::Span,
}

impl<Work, Output> Pending<Work, Output> {
    fn answer(&self, answer: Result<Output, HasherError>) {
        let waiting = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiting) = waiting {
            // The client may have gone meanwhile.
            let _gone = waiting.send(answer);
        }
    }
}

impl<Work, Output> Job for Pending<Work, Output>
where
    Work: Fn(&[bcrypt::Computation], &[bcrypt::Output], &mut Workspace) -> Output + Send + Sync,
    Output: Send,
{
    fn cost(&self) -> Cost {
        self.cost
    }

    fn bcrypt(&self) -> &[bcrypt::Computation] {
        &self.bcrypt
    }

    fn finish(&self, outputs: &[bcrypt::Output], workspace: &mut Workspace) {
        let output = self.span.in_scope(|| (self.work)(&self.bcrypt, outputs, workspace));
        self.answer(Ok(output));
    }

    fn refuse(&self, wait: Duration) {
        self.answer(Err(HasherError::Busy(wait)));
    }

    fn is_awaited(&self) -> bool {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.as_ref().is_some_and(|waiting| !waiting.is_closed())
    }
}
