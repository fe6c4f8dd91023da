//! The two ways to ask: at a pace of one's own, and as quickly as one is answered.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};

use crate::samples::{Sample, Samples};

/// Asks `rate` times a second for `duration`, whether earlier requests are answered or not (an open loop). A
/// request's time counts from when it was due, so that one who waits for a slow server does not measure
/// less of it (Tene, "coordinated omission").
///
/// `ask` is given the number of the request, and gives the status of its answer.
pub async fn paced<Asking>(
    rate: f64,
    duration: Duration,
    ask: impl Fn(usize) -> Asking + Send + Sync + 'static,
) -> Samples
where
    Asking: Future<Output = u16> + Send + 'static,
{
    let begin = Instant::now();
    let interval = Duration::from_secs_f64(1.0 / rate);
    // The runtime's timer rounds to milliseconds, which is more than a refresh takes; a thread's does not.
    let (due, mut dues) = mpsc::unbounded_channel();
    let clock = thread::spawn(move || {
        let count = (0_u32..).map(|number| interval * number).take_while(|at| *at < duration);
        for at in count {
            thread::sleep(at.saturating_sub(begin.elapsed()));
            if due.send(at).is_err() {
                return;
            }
        }
    });
    let mut asked = JoinSet::new();
    let mut number = 0;
    while let Some(due) = dues.recv().await {
        let asking = ask(number);
        number += 1;
        asked.spawn(async move {
            let status = asking.await;
            Sample { due, took: begin.elapsed().saturating_sub(due), status }
        });
    }
    drop(clock);
    Samples(asked.join_all().await)
}

/// Lets `clients` ask for `duration`, each as soon as it is answered (a closed loop).
///
/// `ask` is given the number of the client and of its request, and gives the status of its answer.
pub async fn closed<Asking>(
    clients: usize,
    duration: Duration,
    ask: impl Fn(usize, usize) -> Asking + Send + Sync + 'static,
) -> Samples
where
    Asking: Future<Output = u16> + Send,
{
    let begin = Instant::now();
    let ask = Arc::new(ask);
    let mut asking = JoinSet::new();
    for client in 0..clients {
        let ask = Arc::clone(&ask);
        asking.spawn(async move {
            let mut samples = Vec::new();
            while begin.elapsed() < duration {
                let due = begin.elapsed();
                let status = ask(client, samples.len()).await;
                samples.push(Sample { due, took: begin.elapsed().saturating_sub(due), status });
            }
            samples
        });
    }
    Samples(asking.join_all().await.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_paced_request_counts_from_when_it_was_due() {
        // One at a time, each 20 ms; due every 5 ms.
        let counter = Arc::new(tokio::sync::Mutex::new(()));
        let samples = paced(200.0, Duration::from_millis(200), move |_| {
            let counter = Arc::clone(&counter);
            async move {
                let _turn = counter.lock().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                200
            }
        })
        .await;
        assert_eq!(samples.count(), 40);
        let (first, last) = (samples.percentile(0.0), samples.percentile(1.0));
        assert!(first >= Duration::from_millis(20), "{first:?}");
        // The last was due after 195 ms, and answered after 40 turns.
        assert!(last >= Duration::from_millis(600), "{last:?}");
    }

    #[tokio::test]
    async fn a_closed_loop_asks_again_as_soon_as_it_is_answered() {
        let begin = Instant::now();
        let samples = closed(4, Duration::from_millis(100), async |_, _| {
            tokio::time::sleep(Duration::from_millis(10)).await;
            200
        })
        .await;
        assert!(begin.elapsed() >= Duration::from_millis(100));
        assert!((4..=40).contains(&samples.count()), "{}", samples.count());
        assert!(samples.0.iter().all(|sample| sample.took >= Duration::from_millis(10)));
    }
}
