//! The machine a figure was measured on. A figure without it means nothing.

use std::time::Duration;

use serde::Serialize;

/// What a reader of a figure must know of the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// The processor's name, where the system tells.
    pub cpu: Option<String>,
    /// Logical processors this process may use.
    pub cores: usize,
    /// Such as `linux`.
    pub os: &'static str,
    /// Such as `x86_64`.
    pub arch: &'static str,
    /// `release`, or `debug` where assertions are on and the optimiser is held back.
    pub build: &'static str,
    /// Processes that wanted to run in the last minute, on average, where the system tells. Over
    /// `cores` means that others were in the way.
    pub load_1min: Option<f64>,
}

impl Machine {
    /// In a few words: how this program was built, processor and load.
    pub fn summary(&self) -> String {
        format!(
            "{} build, {} × {}, load {}",
            self.build,
            self.cores,
            self.cpu.as_deref().unwrap_or(self.arch),
            self.load_1min
                .map_or_else(|| "?".to_owned(), |load| load.to_string()),
        )
    }

    /// This machine, now.
    pub fn here() -> Self {
        Self {
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
            load_1min: load_1min(),
        }
    }
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, name) = text
        .lines()
        .find(|line| line.starts_with("model name"))?
        .split_once(':')?;
    Some(name.trim().to_owned())
}

fn load_1min() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Memory that process `id` holds, in bytes, where the system tells.
pub fn rss_bytes(id: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Ticks per second in which Linux tells what processor time a process had, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that all threads of process `id` had, where the system tells.
pub fn processor_time(id: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in brackets may hold anything; user and system time are fields 14 and 15.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_had_some_time() {
        let mut sum = 0_u64;
        while super::processor_time(std::process::id()).unwrap().is_zero() {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
    }
}
