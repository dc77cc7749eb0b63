//! Logging of both programs: one JSON object a line on stdout.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging. `filter` is a level, or levels by module, such as `info` or `info,webhook=debug`;
/// one that does not parse is replaced by `info`, and said so.
pub fn start(filter: &str) {
    let (parsed, refused) = match filter.parse::<Targets>() {
        Ok(parsed) => (parsed, None),
        Err(error) => (Targets::new().with_default(LevelFilter::INFO), Some(error)),
    };
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().json().flatten_event(true))
        .with(parsed)
        .init();
    if let Some(error) = refused {
        tracing::warn!(filter, %error, "the log filter does not parse; logging at info");
    }
}
