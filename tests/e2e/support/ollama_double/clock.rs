//! Times as Ollama reads and writes them.

use std::time::{Duration, SystemTime};

use serde_json::Value;

/// `keep_alive` when it is left out.
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_mins(5);

/// `5m` when absent, `-1` for ever, a number of seconds, or Go's `1h30m`.
pub(super) fn keep_alive(value: &Value) -> Option<Duration> {
    let text = match value {
        Value::Number(seconds) => {
            return seconds
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        }
        Value::String(text) => text.as_str(),
        _ => return Some(DEFAULT_KEEP_ALIVE),
    };
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    if text.starts_with('-') {
        return None;
    }
    let mut total = Duration::ZERO;
    let mut number = String::new();
    for character in text.chars() {
        let seconds = match character {
            'h' => 3600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => {
                number.push(character);
                continue;
            }
        };
        let amount = number.parse::<f64>().unwrap_or_default() * seconds;
        total += Duration::try_from_secs_f64(amount).unwrap_or_default();
        number.clear();
    }
    Some(total)
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// When a model goes, as RFC 3339; about 292 years from now for one that stays.
pub(super) fn expires_at(left: Option<Duration>) -> String {
    let Some(left) = left else {
        return "2318-01-01T00:00:00Z".to_owned();
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = (now.unwrap_or_default() + left).as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Days to a date: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
