//! Durations as Go and Kubernetes users write them: `15s`, `1m30s`, `500ms`, `1h`.

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration: write it like 15s, 1m30s or 500ms")]
pub struct NotADuration {
    /// The refused text.
    pub text: String,
}

const UNITS_MS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a duration as milliseconds. Whole numbers with unit, one or more; fractions of a
/// millisecond and negative durations do not exist here.
///
/// # Errors
/// [`NotADuration`] for everything else, numbers that do not fit included.
pub fn parse_ms(text: &str) -> Result<u64, NotADuration> {
    let refused = || NotADuration {
        text: text.to_owned(),
    };
    let mut rest = text;
    let mut total_ms: u64 = 0;
    if rest.is_empty() {
        return Err(refused());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| refused())?;
        rest = &rest[digits..];
        let letters = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_lowercase())
                .len();
        let unit_ms = UNITS_MS
            .iter()
            .find_map(|(name, unit_ms)| (*name == &rest[..letters]).then_some(*unit_ms))
            .ok_or_else(refused)?;
        rest = &rest[letters..];
        total_ms = number
            .checked_mul(unit_ms)
            .and_then(|part_ms| total_ms.checked_add(part_ms))
            .ok_or_else(refused)?;
    }
    Ok(total_ms)
}

/// Writes milliseconds the way [`parse_ms`] reads them, in as few units as possible: `1m30s`.
pub fn format_ms(total_ms: u64) -> String {
    if total_ms == 0 {
        return "0s".to_owned();
    }
    let mut rest_ms = total_ms;
    let mut text = String::new();
    for (name, unit_ms) in UNITS_MS.iter().rev() {
        let number = rest_ms / unit_ms;
        if number > 0 {
            text.push_str(&format!("{number}{name}"));
            rest_ms %= unit_ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_users_write() {
        for (text, ms) in [
            ("15s", 15_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
        }
        for text in [
            "",
            "15",
            "s",
            "-1s",
            "1.5s",
            "15 s",
            "1d",
            "99999999999999999999s",
            "1s2",
        ] {
            assert!(parse_ms(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(ms in 0_u64..10_000_000_000) {
            prop_assert_eq!(parse_ms(&format_ms(ms)), Ok(ms));
        }

        #[test]
        fn never_panics(text in ".*") {
            parse_ms(&text).ok();
        }
    }
}
