//! Logging of both programs: one JSON object a line on stdout.

use tracing_subscriber::EnvFilter;

/// Starts logging. `filter` is a tracing filter such as `info` or `info,webhook=debug`; one that
/// does not parse is replaced by `info`, and said so.
pub fn start(filter: &str) {
    let (parsed, refused) = match EnvFilter::try_new(filter) {
        Ok(parsed) => (parsed, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(parsed)
        .init();
    if let Some(error) = refused {
        tracing::warn!(filter, %error, "the log filter does not parse; logging at info");
    }
}
