//! Why a command did not do what was asked, and what to do about it.

use crate::exit;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("read the kubeconfig: {0}; --kubeconfig and --context choose another")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    #[error("make a client from the kubeconfig: {0}")]
    Client(#[source] Box<kube::Error>),
    #[error("{what}: make the request: {source}")]
    Request {
        what: String,
        #[source]
        source: http::Error,
    },
    #[error("{what}: no answer within {waited_ms} ms; --request-timeout allows more")]
    Late { what: String, waited_ms: u128 },
    #[error("{what}: you may not: {message}; ask whoever runs the cluster for that right")]
    Forbidden { what: String, message: String },
    #[error("{what}: it is not there: {message}")]
    NotFound { what: String, message: String },
    #[error("{what}: {source}; `kubectl cluster-info` shows whether the cluster can be reached")]
    Api {
        what: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error(
        "{what}: the API server cannot be asked: {why}; `kubectl cluster-info` shows whether it can \
             be reached"
    )]
    Unreachable { what: String, why: String },
    #[error("no group {group} in namespace {namespace}{hint}")]
    NoGroup {
        group: String,
        namespace: String,
        hint: String,
    },
    #[error(
        "no Service {service} in Service mode in namespace {namespace}; \
         `kubectl active-passive status` shows all"
    )]
    NoService { service: String, namespace: String },
    #[error(
        "listen on port {port} of this machine: {source}; --port chooses another, 0 a free one"
    )]
    Listen {
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("make a key for the page: this machine gives no random numbers")]
    Random,
    #[error("use the terminal: {0}")]
    Terminal(#[source] std::io::Error),
    #[error("read {name}: {source}")]
    Unreadable {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("write {name}: {source}; no file has changed")]
    Unwritable {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("write {name}: {source}; these have changed and could not be put back: {written}")]
    HalfWritten {
        name: String,
        written: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{manifest}: {why}")]
    Manifest { manifest: String, why: String },
    #[error("not injected:\n{0}")]
    NotInjected(String),
    #[error("not migrated, and nothing is written:\n{0}")]
    NotMigrated(String),
    #[error("write the output: {0}")]
    Output(String),
    #[error("the role stays where it is: {0}")]
    Refused(String),
    #[error("the role went to {0} instead: the active pod had to go before it had answered")]
    Elsewhere(String),
    #[error(
        "not done within {waited_s} s: {waiting_for}; the request stands, and \
             `kubectl active-passive status {group}` shows what became of it"
    )]
    NotDone {
        group: String,
        waited_s: u64,
        waiting_for: String,
    },
}

/// Status from which on the API server says that the fault is its own.
const OWN_FAULT: u16 = 500;

impl Failure {
    /// Whether the API server has answered, if only with no.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Self::Forbidden { .. } | Self::NotFound { .. } => true,
            Self::Api { source, .. } => {
                matches!(&**source, kube::Error::Api(status) if status.code < OWN_FAULT)
            }
            _ => false,
        }
    }

    /// How the program ends.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Elsewhere(_) => exit::REFUSED,
            Self::NotDone { .. } => exit::LATE,
            Self::NotInjected(_) | Self::NotMigrated(_) => exit::UNINJECTED,
            _ => exit::FAILED,
        }
    }
}
