//! How much of the processors the threads of the lane get beside others.

/// Added to the niceness of a stand-in; measured: two busy threads beside a busy server leave it 90 % of its pace
/// at 10, against 60 % at 0, and get a tenth of a processor each.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets the calling thread run while no other wants its processor. A busy thread of low priority keeps what wakes up
/// on its processor waiting for the rest of its slice, 1.4 ms or more, at each of the steps of a request; one of this
/// policy makes way at once. Measured in a flood of logins on PostgreSQL: `bench/README.md`.
pub(super) fn run_in_spare_time() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };

        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
        if let Err(error) = set {
            tracing::warn!(%error, "the hashing lane does not run in spare time, but at a low priority");
            lower_priority();
        }
    }
}

/// On Linux niceness belongs to the thread; elsewhere it would slow the whole process, so it is left.
pub(super) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(None)
        .and_then(|own| rustix::process::setpriority_process(None, (own + NICENESS).min(19)))
    {
        tracing::warn!(%error, "the hashing lane runs at the priority of the rest");
    }
}
