//! A real Prometheus beside the cluster: it scrapes what the chart's monitors select, as the
//! Prometheus operator would have it, evaluates the chart's rules, and is asked over HTTP.
//!
//! It finds targets by watching the API server, and reaches pods through the API server's proxy: their
//! network is not this machine's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, header};
use serde_json::{Value, json};
use tests::cluster::{Binaries, Kube};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Duration, timeout};

/// How often it scrapes, and evaluates rules.
const EVERY: &str = "1s";
/// How long it may take to listen.
const START: Duration = Duration::from_secs(20);
/// What its log says then, before the address.
const LISTENS: &str = "msg=\"Listening on\"";
/// Where a target's port stands.
const ADDRESS: &str = "__address__";

/// The process. Dropping it ends it, and removes what it has stored.
pub(crate) struct Prometheus {
    _process: Child,
    folder: PathBuf,
    client: kube::Client,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

impl Prometheus {
    /// Starts it with the chart's monitors and rules. Of all namespaces it looks at these.
    pub(crate) async fn start(
        kube: &Kube,
        monitors: &[Value],
        rules: &Value,
        namespaces: &[&str],
    ) -> Result<Self> {
        let program = Binaries::prometheus().await?.path("prometheus");
        let folder = std::env::temp_dir().join(format!("prometheus-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let access = Access::write(kube, &folder)?;
        let jobs = monitors.iter().map(|it| access.job(it, namespaces));
        let config = json!({
            "global": {"scrape_interval": EVERY, "evaluation_interval": EVERY},
            "rule_files": ["rules.json"],
            "scrape_configs": jobs.collect::<Result<Vec<_>>>()?,
        });
        std::fs::write(folder.join("rules.json"), rules.to_string())?;
        let file = folder.join("prometheus.json");
        std::fs::write(&file, config.to_string())?;
        let mut process = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let log = process.stderr.take().context("no log")?;
        let address = timeout(START, listens(log)).await;
        let address = address.context("Prometheus does not listen")??;
        let address = format!("http://{address}").parse()?;
        let client = kube::Client::try_from(kube::Config::new(address))?;
        Ok(Self {
            _process: process,
            folder,
            client,
        })
    }

    /// The samples that an expression gives now.
    pub(crate) async fn query(&self, expr: &str) -> Result<Vec<Value>> {
        let data = self.post("/api/v1/query", &[("query", expr)]).await?;
        Ok(match &data["result"] {
            Value::Array(samples) => samples.clone(),
            // A scalar is one.
            other => vec![other.clone()],
        })
    }

    /// The expression as a tree.
    pub(crate) async fn parse(&self, expr: &str) -> Result<Value> {
        self.post("/api/v1/parse_query", &[("query", expr)]).await
    }

    /// The labels of every series that a selector has matched so far.
    pub(crate) async fn series(&self, selector: &str) -> Result<Vec<Value>> {
        let data = self
            .post("/api/v1/series", &[("match[]", selector)])
            .await?;
        Ok(data.as_array().context("a list of series")?.clone())
    }

    /// What targets say of their metrics: name, and type among other things.
    pub(crate) async fn metadata(&self) -> Result<Value> {
        self.ask(Request::get("/api/v1/metadata").body(Vec::new())?)
            .await
    }

    /// Alerts that are pending or firing.
    pub(crate) async fn alerts(&self) -> Result<Vec<Value>> {
        let data = self.ask(Request::get("/api/v1/alerts").body(Vec::new())?);
        let data = data.await?;
        Ok(data["alerts"]
            .as_array()
            .context("a list of alerts")?
            .clone())
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Value> {
        let pairs: Vec<String> = form
            .iter()
            .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
            .collect();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(pairs.join("&").into_bytes())?;
        self.ask(request)
            .await
            .with_context(|| format!("ask Prometheus {path} {form:?}"))
    }

    async fn ask(&self, request: Request<Vec<u8>>) -> Result<Value> {
        let answer: Value = self.client.request(request).await?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].clone())
    }
}

/// The address in its log. The rest of the log is read and thrown away: a full pipe would stop it.
async fn listens(log: ChildStderr) -> Result<String> {
    let mut lines = BufReader::new(log).lines();
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await? {
        if line.contains(LISTENS) {
            let address = line
                .split_whitespace()
                .find_map(|it| it.strip_prefix("address="));
            let address = address.with_context(|| format!("no address in {line}"))?;
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(address.to_owned());
        }
        said.push(line);
    }
    anyhow::bail!("it has ended:\n{}", said.join("\n"))
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// How the API server is reached.
struct Access {
    kubeconfig: PathBuf,
    /// `<host>:<port>`.
    address: String,
    tls: Value,
}

impl Access {
    /// Writes what the kubeconfig holds into files, as Prometheus wants it.
    fn write(kube: &Kube, folder: &Path) -> Result<Self> {
        let (_, server) = kube.destination()?;
        let address = server.trim_start_matches("https://").to_owned();
        let file = std::fs::read_to_string(kube.kubeconfig())?;
        let file: Value = serde_saphyr::from_str(&file)?;
        let (cluster, user) = (&file["clusters"][0]["cluster"], &file["users"][0]["user"]);
        let mut tls = json!({});
        for (name, data) in [
            ("ca_file", &cluster["certificate-authority-data"]),
            ("cert_file", &user["client-certificate-data"]),
            ("key_file", &user["client-key-data"]),
        ] {
            let data = STANDARD.decode(data.as_str().context("it is in the kubeconfig")?)?;
            let path = folder.join(name);
            std::fs::write(&path, data)?;
            tls[name] = json!(path);
        }
        Ok(Self {
            kubeconfig: kube.kubeconfig().to_owned(),
            address,
            tls,
        })
    }

    /// The scrape configuration of a PodMonitor or ServiceMonitor.
    fn job(&self, monitor: &Value, namespaces: &[&str]) -> Result<Value> {
        let (spec, name) = (&monitor["spec"], &monitor["metadata"]["name"]);
        let pods = monitor["kind"] == "PodMonitor";
        let (role, owner, port_name) = match pods {
            true => ("pod", "pod", "pod_container_port_name"),
            false => ("endpointslice", "service", "endpointslice_port_name"),
        };
        let ends = match pods {
            true => &spec["podMetricsEndpoints"][0],
            false => &spec["endpoints"][0],
        };
        let mut relabel = selects(owner, &spec["selector"]);
        relabel.push(keep(port_name, ends["port"].as_str().context("a port")?));
        for (label, from) in [("namespace", "namespace"), ("pod", "pod_name")] {
            let from = format!("__meta_kubernetes_{from}");
            relabel.push(json!({"source_labels": [from], "target_label": label}));
        }
        for rule in ends["relabelings"].as_array().into_iter().flatten() {
            let (from, to) = (&rule["sourceLabels"], &rule["targetLabel"]);
            relabel.push(json!({"source_labels": from, "target_label": to}));
        }
        let path = ends["path"].as_str().context("a path")?;
        relabel.push(json!({"source_labels": [ADDRESS], "target_label": "instance"}));
        relabel.push(json!({
            "source_labels": ["namespace", "pod", ADDRESS],
            "regex": "(.+);(.+);.+:(\\d+)",
            "target_label": "__metrics_path__",
            "replacement": format!("/api/v1/namespaces/$1/pods/$2:$3/proxy{path}"),
        }));
        relabel.push(json!({"target_label": ADDRESS, "replacement": self.address}));
        let left_out = ends["metricRelabelings"].as_array().into_iter().flatten();
        let left_out: Vec<Value> = left_out
            .map(|rule| {
                let (from, regex, action) =
                    (&rule["sourceLabels"], &rule["regex"], &rule["action"]);
                json!({"source_labels": from, "regex": regex, "action": action})
            })
            .collect();
        Ok(json!({
            "job_name": name,
            "scheme": "https",
            "tls_config": self.tls,
            "kubernetes_sd_configs": [{
                "role": role,
                "kubeconfig_file": self.kubeconfig,
                "namespaces": {"names": namespaces},
            }],
            "relabel_configs": relabel,
            "metric_relabel_configs": left_out,
            "sample_limit": spec["sampleLimit"].as_u64().unwrap_or(0),
        }))
    }
}

/// A label selector of the operator's, as relabelling.
fn selects(owner: &str, selector: &Value) -> Vec<Value> {
    let plain = |key: &str| key.replace(['.', '/', '-'], "_");
    let mut rules = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        let label = format!("{owner}_label_{}", plain(key));
        rules.push(keep(&label, value.as_str().unwrap_or_default()));
    }
    let expressions = selector["matchExpressions"].as_array();
    for expression in expressions.into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        // The chart asks for no more of it.
        assert_eq!(expression["operator"], "Exists", "{expression}");
        rules.push(keep(
            &format!("{owner}_labelpresent_{}", plain(key)),
            "true",
        ));
    }
    rules
}

fn keep(label: &str, value: &str) -> Value {
    let from = format!("__meta_kubernetes_{label}");
    json!({"source_labels": [from], "regex": value, "action": "keep"})
}
