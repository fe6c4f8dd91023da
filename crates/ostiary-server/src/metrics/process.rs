//! The process, under the names that all Prometheus clients use for it
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::{fmt, fs};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// Adds the figures of this process, which began at `start`.
pub(super) fn register(registry: &mut Registry, start: Timestamp) {
    registry.register_with_unit(
        "process_start_time",
        "When the server started, in seconds since 1970",
        Unit::Seconds,
        ConstGauge::new(start.as_duration().as_secs_f64()),
    );
    registry.register_collector(Box::new(Process));
}

/// Looks when it is asked. What the system does not tell is left out: memory and files outside of Linux.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = ConstCounter::new(cpu_seconds());
        let described = encoder.encode_descriptor(
            "process_cpu",
            "Time that the process had on all processors",
            Some(&Unit::Seconds),
            cpu.metric_type(),
        )?;
        cpu.encode(described)?;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        for (name, help, unit, value) in [
            ("process_resident_memory", "Memory in use", Some(Unit::Bytes), kibibytes(&status, "VmRSS:")),
            ("process_virtual_memory", "Addresses in use", Some(Unit::Bytes), kibibytes(&status, "VmSize:")),
            ("process_threads", "Threads", None, member(&status, "Threads:")),
            ("process_open_fds", "Files and connections that are open", None, open_files()),
            ("process_max_fds", "Files and connections that may be open", None, max_files()),
        ] {
            if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)?;
            }
        }
        Ok(())
    }
}

fn cpu_seconds() -> f64 {
    std::time::Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))
        .map_or(0.0, |time| time.as_secs_f64())
}

/// A member of `/proc/self/status`, in bytes. (`proc_pid_status(5)`: what it calls kB are 1,024 bytes.)
fn kibibytes(status: &str, name: &str) -> Option<u64> {
    member(status, name)?.checked_mul(1024)
}

fn member(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Without the one that it takes to look.
fn open_files() -> Option<u64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(count.saturating_sub(1)).ok()
}

fn max_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_by_its_name_and_another_is_not() {
        let status = "Name:\tostiary\nVmSize:\t  2048 kB\nThreads:\t7\n";
        assert_eq!(kibibytes(status, "VmSize:"), Some(2_097_152));
        assert_eq!(member(status, "Threads:"), Some(7));
        for (text, name) in
            [(status, "VmRSS:"), (status, "Name:"), ("", "Threads:"), ("Threads:", "Threads:")]
        {
            assert_eq!(member(text, name), None, "{name} in {text:?}");
        }
    }
}
