//! Lists a resource once and follows it from there, for good.
//!
//! A watch that ends is resumed where it ended; only when the API server has forgotten that place,
//! or keeps failing at it, is the resource listed again. Watches that fall silent are ended here:
//! the API server sends a bookmark about once a minute.

use crate::cause::Causes;
use crate::client::{self, NoAnswer, Reply};
use crate::contact::{Caller, Contact};
use crate::lines::{LineTooLong, Lines};
use crate::metrics::Metrics;
use crate::object::{self, Unreadable};
use crate::refusals::cure;
use crate::watched::{News, Watched, version_of};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Objects of one page of a list: bounds the memory that a large namespace takes. Where they are so
/// large that a page is too long to be read, the next try has a quarter.
const PAGE_OBJECTS: u32 = 64;
/// Objects of one list; a resource with more is not listed.
const OBJECTS_MAX: u32 = 100_000;
/// Longest time for one page, and for a watch to open, milliseconds.
const ANSWER_MS_MAX: u64 = 10_000;
/// A request that has had no answer for this long is given up for a new one once the API server
/// answers others, milliseconds: its connection may be one of before.
const HANGS_MS: u64 = 250;
/// A watch on which nothing has come for this long is taken for dead, milliseconds: of about one
/// bookmark a minute one may be late. Resuming a watch that was alive costs a request, no event.
const SILENCE_MS_MAX: u64 = 100_000;
/// How long the API server keeps a watch open, seconds; differs from pod to pod by the spread, lest
/// all come back at once.
const WATCH_S: u64 = 270;
const WATCH_SPREAD_S: u64 = 60;
/// First and longest wait after a failure, milliseconds.
const RETRY_MS: u64 = 100;
const RETRY_MS_MAX: u64 = 2_000;
/// Longest Retry-After that is heeded, milliseconds: what happens meanwhile is not seen.
const RETRY_AFTER_MS_MAX: u64 = 10_000;
/// First wait where a right is missing that comes with an annotation, milliseconds: the webhook
/// grants it within this time.
const GRANT_MS: u64 = 2_000;
/// Longest wait where a right is missing, milliseconds.
const FORBIDDEN_MS_MAX: u64 = 30_000;
/// Refusals in a row after which the place is given up and the resource is listed again. An API
/// server that is not there refuses nothing: all pods listing at once is not what it needs then.
const REFUSALS_MAX: u32 = 5;

/// Follows one resource.
pub(crate) struct Watch<W> {
    client: Client,
    watched: W,
    metrics: Arc<Metrics>,
    contact: Arc<Contact>,
    caller: Caller,
    news: mpsc::Sender<News>,
    /// Where to resume; `None`: list first.
    place: Option<String>,
    page_objects: u32,
    /// The watch that is open has brought an event.
    heard: bool,
    /// People were told that it fails.
    troubled: bool,
    /// When it was last listed because of a doubt.
    doubted: Option<Instant>,
}

/// Why a list or watch ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("nobody listens any more")]
    Unheard,
    #[error("the watch is over")]
    Over,
    #[error("no event and no bookmark for {} s", SILENCE_MS_MAX / 1_000)]
    Silent,
    #[error("no answer within {} s", ANSWER_MS_MAX / 1_000)]
    Late,
    #[error("no answer yet, where others have one")]
    Overtaken,
    #[error("the API server has forgotten the place")]
    Expired,
    #[error("a write was forbidden")]
    Doubted,
    #[error("status {}: {}", .0.status.as_u16(), .0.message())]
    Status(Reply),
    #[error("error event: {0}")]
    ErrorEvent(String),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the connection broke: {0}")]
    Broken(#[source] Box<kube::Error>),
    #[error(transparent)]
    LineTooLong(#[from] LineTooLong),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("more than {OBJECTS_MAX} objects")]
    TooMany,
}

impl Ended {
    /// Whether nobody said anything.
    fn is_silence(&self) -> bool {
        matches!(self, Self::Late | Self::NoAnswer(_) | Self::Broken(_))
    }
}

impl<W: Watched> Watch<W> {
    pub(crate) fn new(
        client: Client,
        watched: W,
        metrics: Arc<Metrics>,
        contact: Arc<Contact>,
        news: mpsc::Sender<News>,
    ) -> Self {
        let caller = Caller::new(watched.config().params.jitter_seed);
        Self {
            client,
            watched,
            metrics,
            contact,
            caller,
            news,
            place: None,
            page_objects: PAGE_OBJECTS,
            heard: false,
            troubled: false,
            doubted: None,
        }
    }

    /// Runs until nobody listens to the news.
    pub(crate) async fn run(mut self) {
        let (mut failures, mut refusals): (u32, u32) = (0, 0);
        loop {
            let began = Instant::now();
            self.caller.begin(&self.contact);
            let Err(ended) = self.once().await else {
                continue;
            };
            if self.heard {
                (failures, refusals) = (0, 0);
            }
            match ended {
                Ended::Overtaken => {
                    self.caller.note();
                    continue;
                }
                Ended::Doubted => {
                    // What it shows may be all that it will ever show: a list says.
                    (self.place, self.doubted) = (None, Some(Instant::now()));
                    continue;
                }
                Ended::Unheard => return,
                // The usual end after some minutes.
                Ended::Over | Ended::Silent if self.heard => continue,
                Ended::Expired | Ended::ErrorEvent(_) => self.place = None,
                Ended::NoAnswer(NoAnswer::TooLong) => {
                    self.page_objects = (self.page_objects / 4).max(1);
                }
                Ended::Late | Ended::NoAnswer(_) | Ended::Broken(_) => self.contact.lost(),
                _ => refusals = refusals.saturating_add(1),
            }
            if refusals > REFUSALS_MAX {
                self.place = None;
            }
            if forbidden(&ended)
                && let Some(news) = W::FORBIDDEN
            {
                // Once the right is back, a list says so, whether or not anything has changed.
                self.place = None;
                if self.send(News::Input(news)).await.is_err() {
                    return;
                }
            }
            self.tell(&ended, failures);
            let wait = Duration::from_millis(self.wait_ms(&ended, failures));
            let least = Duration::from_millis(self.wait_ms(&ended, 0));
            // The time that was spent waiting for an answer counts.
            let wait = wait.saturating_sub(began.elapsed()).max(least);
            failures = failures.saturating_add(1);
            let called = tokio::select! {
                () = sleep(wait) => false,
                () = self.caller.back(&self.contact), if ended.is_silence() => true,
                () = self.news.closed() => return,
            };
            if called {
                self.caller.note();
            }
        }
    }

    /// Lists again and again, until nobody listens to the news: for where there is no right to watch.
    pub(crate) async fn list_every(mut self, every_ms: u64) {
        let mut failures: u32 = 0;
        loop {
            match self.list().await {
                Ok(()) => failures = 0,
                Err(Ended::Unheard) => return,
                Err(ended) => {
                    if ended.is_silence() {
                        self.contact.lost();
                    }
                    self.tell(&ended, failures);
                    failures = failures.saturating_add(1);
                }
            }
            tokio::select! {
                () = sleep(Duration::from_millis(every_ms)) => {}
                () = self.news.closed() => return,
            }
        }
    }

    /// Lists, or follows until the watch ends.
    async fn once(&mut self) -> Result<(), Ended> {
        self.heard = false;
        match self.place.clone() {
            None => self.list().await,
            Some(place) => self.follow(&place).await,
        }
    }

    /// One line when trouble lasts; one more when a watch opens again.
    fn tell(&mut self, ended: &Ended, failures: u32) {
        let (resource, error) = (W::RESOURCE, Causes(ended));
        let quiet = match ended {
            Ended::Over | Ended::Silent | Ended::Expired => true,
            _ if forbidden(ended) => !W::ALWAYS_ALLOWED,
            _ => false,
        };
        // A first failure is repeated at once, and mostly stays the only one.
        if failures == 0 || quiet || self.troubled {
            tracing::debug!(resource, %error, failures, "watching ended");
            return;
        }
        self.troubled = true;
        match ended {
            Ended::Status(reply) if forbidden(ended) => {
                let cure = cure(reply.status, &reply.message(), self.watched.config());
                tracing::warn!(resource, %error, cure, "no right to watch; trying again");
            }
            _ => tracing::warn!(resource, %error, "watching fails; trying again"),
        }
    }

    fn wait_ms(&self, ended: &Ended, failures: u32) -> u64 {
        let (first_ms, max_ms) = match forbidden(ended) {
            true if W::ALWAYS_ALLOWED => (RETRY_MS, FORBIDDEN_MS_MAX),
            true => (GRANT_MS, FORBIDDEN_MS_MAX),
            false => (RETRY_MS, RETRY_MS_MAX),
        };
        let wait_ms = first_ms.saturating_mul(1 << failures.min(16)).min(max_ms);
        // Between three quarters and all of it, differently from pod to pod and time to time.
        let seed = self.watched.config().params.jitter_seed;
        let spread = seed.rotate_left(failures.wrapping_mul(8)) % 256;
        let asked_ms = match ended {
            Ended::Status(reply) => reply.retry_after_ms.min(RETRY_AFTER_MS_MAX),
            _ => 0,
        };
        asked_ms + wait_ms - wait_ms / 4 * spread / 256
    }

    async fn list(&mut self) -> Result<(), Ended> {
        self.metrics.watch_begins(W::RESOURCE, "list");
        let mut objects = Vec::new();
        let mut token = String::new();
        for _ in 0..OBJECTS_MAX / self.page_objects {
            let query = format!("limit={}", self.page_objects);
            let url = self.url(&query, ("continue", &token));
            let page: Page<W::Object> = object::read(&self.page(&url).await?.body)?;
            let items = page.items.into_iter().flatten();
            objects.extend(items.filter(|object| self.watched.picks(object)));
            token = page.metadata.r#continue.unwrap_or_default();
            if token.is_empty() {
                let place = page.metadata.resource_version;
                let version = object::version(&place)?;
                let news = self.watched.listed(objects, version)?;
                self.send(news).await?;
                self.place = Some(place);
                return Ok(());
            }
        }
        Err(Ended::TooMany)
    }

    async fn page(&self, url: &str) -> Result<Reply, Ended> {
        let call = client::call(&self.client, client::request(Method::GET, url, None));
        let reply = self.answer(call).await?;
        if reply.status.is_success() {
            Ok(reply)
        } else {
            Err(refused(reply))
        }
    }

    /// What a list or a watch begins with.
    async fn answer<T>(&self, call: impl Future<Output = Result<T, NoAnswer>>) -> Result<T, Ended> {
        let hangs_at = Instant::now() + Duration::from_millis(HANGS_MS);
        let overtaken = async {
            self.caller.back(&self.contact).await;
            sleep_until(hangs_at).await;
        };
        let answer = tokio::select! {
            biased;
            answer = within(ANSWER_MS_MAX, call) => answer.ok_or(Ended::Late)?,
            () = overtaken => return Err(Ended::Overtaken),
        };
        let answer = answer?;
        self.contact.made();
        Ok(answer)
    }

    /// Follows from `place` until the watch ends. What was heard is noted along the way.
    async fn follow(&mut self, place: &str) -> Result<(), Ended> {
        self.metrics.watch_begins(W::RESOURCE, "watch");
        let seconds = WATCH_S + self.watched.config().params.jitter_seed % WATCH_SPREAD_S;
        let query = format!("watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}");
        let url = self.url(&query, ("resourceVersion", place));
        let open = client::open(&self.client, client::request(Method::GET, &url, None));
        let response = self.answer(open).await?;
        if response.status() != StatusCode::OK {
            let reply = within(ANSWER_MS_MAX, client::whole(response)).await;
            return Err(refused(reply.ok_or(Ended::Late)??));
        }
        if std::mem::take(&mut self.troubled) {
            tracing::info!(resource = W::RESOURCE, "watching works again");
        }
        let mut body = response.into_body();
        let mut lines = Lines::default();
        loop {
            let frame = tokio::select! {
                frame = within(SILENCE_MS_MAX, body.frame()) => frame.ok_or(Ended::Silent)?,
                () = self.watched.doubted(self.doubted) => return Err(Ended::Doubted),
            };
            let frame = frame
                .ok_or(Ended::Over)?
                .map_err(|error| Ended::Broken(Box::new(error)))?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            lines.push(&chunk)?;
            while let Some(line) = lines.line() {
                let news = self.event(line)?;
                self.heard = true;
                if let Some(news) = news {
                    self.send(news).await?;
                }
            }
        }
    }

    /// One line of a watch.
    fn event(&mut self, line: &[u8]) -> Result<Option<News>, Ended> {
        let event: Event<'_> = serde_json::from_slice(line).map_err(Unreadable::Json)?;
        let object = event.object.get().as_bytes();
        if event.r#type == "ERROR" {
            let error: ErrorObject = object::read(object)?;
            return Err(if error.code == StatusCode::GONE.as_u16() {
                Ended::Expired
            } else {
                Ended::ErrorEvent(error.message)
            });
        }
        let (place, version) = version_of(object)?;
        let news = match event.r#type {
            "ADDED" | "MODIFIED" => self.watched.changed(object::read(object)?)?,
            "DELETED" => self.watched.gone(object::read(object)?, version),
            _ => None,
        };
        self.place = Some(place);
        Ok(news)
    }

    fn url(&self, query: &str, (key, value): (&str, &str)) -> String {
        let (path, selector) = (self.watched.path(), self.watched.selector());
        let mut url = format!("{path}?{query}");
        if !selector.is_empty() {
            url.push_str(&format!("&{selector}"));
        }
        // Versions and tokens consist of characters that a query may hold as they are.
        if !value.is_empty() {
            url.push_str(&format!("&{key}={value}"));
        }
        url
    }

    async fn send(&self, news: News) -> Result<(), Ended> {
        self.news.send(news).await.map_err(|_| Ended::Unheard)
    }
}

#[derive(Deserialize)]
struct Page<T> {
    metadata: PageMeta,
    // An empty list may be null.
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    r#continue: Option<String>,
}

#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorObject {
    code: u16,
    message: String,
}

fn forbidden(ended: &Ended) -> bool {
    matches!(ended, Ended::Status(reply) if reply.status == StatusCode::FORBIDDEN)
}

fn refused(reply: Reply) -> Ended {
    if reply.status == StatusCode::GONE {
        Ended::Expired
    } else {
        Ended::Status(reply)
    }
}

async fn within<F: Future>(ms: u64, future: F) -> Option<F::Output> {
    timeout(Duration::from_millis(ms), future).await.ok()
}

#[cfg(test)]
mod tests;
