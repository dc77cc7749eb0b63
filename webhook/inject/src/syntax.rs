//! What Kubernetes takes as a label key, a label value and a quantity.

/// Longest name of a label key and longest label value, bytes.
const LABEL_BYTES_MAX: usize = 63;
/// Longest prefix of a label key, bytes.
const PREFIX_BYTES_MAX: usize = 253;
/// Suffixes of quantities.
const QUANTITY_UNITS: [&str; 16] = [
    "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
];

/// Whether `text` is a label key: a name, or a DNS subdomain, a slash and a name.
pub(crate) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        None => is_label_name(text),
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_label_name(name),
    }
}

/// Whether `text` is a label value: empty, or of the form of a label name.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_name(text)
}

/// Whether `text` is a quantity that is not negative: `5m`, `1.5`, `16Mi`, `1e3`.
pub(crate) fn is_quantity(text: &str) -> bool {
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 || number.len() - digits > 1 {
        return false;
    }
    let exponent = suffix
        .strip_prefix(['e', 'E'])
        .map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    QUANTITY_UNITS.contains(&suffix)
        || exponent.is_some_and(|exponent| {
            (1..=3).contains(&exponent.len()) && exponent.bytes().all(|b| b.is_ascii_digit())
        })
}

fn is_label_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= LABEL_BYTES_MAX
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= PREFIX_BYTES_MAX && text.split('.').all(common::ids::is_dns_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_keys_and_values() {
        for (key, good) in [
            ("role", true),
            ("active-passive.dev/role", true),
            ("a.b-c/X_y.z", true),
            ("", false),
            ("/role", false),
            ("a/b/c", false),
            ("-role", false),
            ("UPPER.case/role", false),
        ] {
            assert_eq!(is_label_key(key), good, "{key:?}");
        }
        assert!(is_label_value(""));
        assert!(is_label_value(&"a".repeat(63)));
        assert!(!is_label_value(&"a".repeat(64)));
        assert!(!is_label_value("a b"));
    }

    #[test]
    fn quantities() {
        for (text, good) in [
            ("5m", true),
            ("1.5", true),
            ("16Mi", true),
            ("1e3", true),
            (".5Gi", true),
            ("1E", true),
            ("", false),
            ("Mi", false),
            ("1.2.3", false),
            ("16mb", false),
            ("-1", false),
            ("1e", false),
        ] {
            assert_eq!(is_quantity(text), good, "{text:?}");
        }
    }
}
