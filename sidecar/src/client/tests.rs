use super::*;
use rcgen::{CertificateParams, Issuer, KeyPair};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const OK: &[u8] = b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}";
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

async fn served() -> (TcpListener, Client) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let client = client(kube::Config::new(url), CONNECT_TIMEOUT).unwrap();
    (listener, client)
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

fn get(path: &str) -> Request<Body> {
    request(Method::GET, path, None)
}

/// kube's own client would send it up to fifteen times more, for as long as Retry-After says.
#[tokio::test]
async fn an_unavailable_server_is_asked_once() {
    let (listener, client) = served().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        let answer = "HTTP/1.1 503 \r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut more = [0; 1];
        (head, stream.read(&mut more).await.unwrap())
    });
    let reply = call(&client, get("/api/v1/pods?limit=1")).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.retry_after_ms), (503, 3_000));
    drop(client);
    let (head, more_bytes) = server.await.unwrap();
    assert!(
        head.starts_with("GET /api/v1/pods?limit=1 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("user-agent: active-passive-sidecar/"),
        "{head}"
    );
    assert_eq!(
        more_bytes, 0,
        "nothing but the end of the connection follows"
    );
}

/// The connection may be half open: nothing more may be sent on it.
#[tokio::test]
async fn a_request_that_is_given_up_ends_its_connection_and_the_next_has_its_own() {
    let (listener, client) = served().await;
    let asking = client.clone();
    let pending = tokio::spawn(async move { call(&asking, get("/api")).await.map(drop) });
    let (mut stream, _) = listener.accept().await.unwrap();
    head(&mut stream).await;
    pending.abort();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);

    let next = tokio::spawn(async move { call(&client, get("/next")).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    assert!(head(&mut stream).await.starts_with("GET /next "));
    stream.write_all(OK).await.unwrap();
    assert_eq!(next.await.unwrap().unwrap().status.as_u16(), 200);
}

/// It has closed the connection that was kept, and listens at the same address.
#[tokio::test]
async fn a_server_that_has_restarted_is_asked_on_a_new_connection() {
    let (listener, client) = served().await;
    let address = listener.local_addr().unwrap();
    let mut listening = Some(listener);
    for path in ["/before", "/after"] {
        let listener = match listening.take() {
            Some(listener) => listener,
            None => TcpListener::bind(address).await.unwrap(),
        };
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = head(&mut stream).await;
            stream.write_all(OK).await.unwrap();
            head
        });
        assert!(call(&client, get(path)).await.is_ok(), "{path}");
        assert!(server.await.unwrap().starts_with(&format!("GET {path} ")));
    }
}

/// A certificate authority.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// What a server needs that shows a certificate of this authority.
    fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], key.into());
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }
}

/// A service account's folder, and an API server that accepts one request a connection.
struct Account {
    folder: PathBuf,
    client: Client,
    acceptor: Arc<Mutex<TlsAcceptor>>,
    heads: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Account {
    async fn new(name: &str, authority: &Authority) -> Self {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = |file: &str| folder.join(file);
        std::fs::write(path("token"), "first\n").unwrap();
        std::fs::write(path("ca.crt"), &authority.1).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let mut config = kube::Config::new(url.parse().unwrap());
        config.root_cert_file = Some(path("ca.crt"));
        config.auth_info.token_file = Some(path("token").to_string_lossy().into_owned());
        let acceptor = Arc::new(Mutex::new(authority.acceptor()));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (shown, seen) = (acceptor.clone(), heads.clone());
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = shown.lock().unwrap().clone();
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let head = head(&mut stream).await;
                seen.lock().unwrap().push(head);
                stream.write_all(OK).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self {
            client: client(config, CONNECT_TIMEOUT).unwrap(),
            folder,
            acceptor,
            heads,
            server,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    async fn is_served(&self) -> bool {
        call(&self.client, get("/api")).await.is_ok()
    }

    /// The credentials of the last request.
    fn authorization(&self) -> String {
        let heads = self.heads.lock().unwrap();
        let mut lines = heads.last().unwrap().lines();
        let line = lines.find(|line| line.starts_with("authorization: "));
        line.unwrap().to_owned()
    }

    fn end(self) {
        self.server.abort();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// As the kubelet does it: the new content appears under the name at once.
fn replace(file: &Path, content: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, content).unwrap();
    std::fs::rename(next, file).unwrap();
}

#[tokio::test]
async fn a_new_token_is_used_at_once_and_the_last_one_if_there_is_none() {
    let account = Account::new("token", &Authority::new()).await;
    assert!(account.is_served().await);
    assert_eq!(account.authorization(), "authorization: Bearer first");
    replace(&account.file("token"), "second");
    assert!(account.is_served().await);
    assert_eq!(account.authorization(), "authorization: Bearer second");
    std::fs::remove_file(account.file("token")).unwrap();
    assert!(account.is_served().await);
    assert_eq!(account.authorization(), "authorization: Bearer second");
    account.end();
}

#[tokio::test]
async fn a_new_authority_is_trusted_at_once_and_an_old_one_no_more() {
    let (old, new) = (Authority::new(), Authority::new());
    let account = Account::new("roots", &old).await;
    assert!(account.is_served().await);

    *account.acceptor.lock().unwrap() = new.acceptor();
    assert!(!account.is_served().await, "nobody vouches for it");
    replace(&account.file("ca.crt"), &format!("{}{}", old.1, new.1));
    assert!(account.is_served().await, "both are trusted while it moves");

    replace(&account.file("ca.crt"), &new.1);
    *account.acceptor.lock().unwrap() = old.acceptor();
    assert!(!account.is_served().await, "its time is over");
    *account.acceptor.lock().unwrap() = new.acceptor();
    assert!(account.is_served().await);

    // Half a file, or none: the last one that could be read counts.
    replace(&account.file("ca.crt"), "-----BEGIN CERTIFICATE-----\n");
    assert!(account.is_served().await);
    account.end();
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let (listener, client) = served().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\n{")
            .await
            .unwrap();
    });
    let answer = call(&client, get("/api")).await;
    assert!(matches!(answer, Err(NoAnswer::Body(_))), "{answer:?}");
}

#[test]
fn a_status_speaks_for_itself() {
    let reply = |body: &str| Reply {
        status: StatusCode::FORBIDDEN,
        retry_after_ms: 0,
        body: Bytes::from(body.to_owned()),
    };
    assert_eq!(reply(r#"{"kind":"Status","message":"no"}"#).message(), "no");
    assert_eq!(reply("<html>").message(), "<html>");
}
