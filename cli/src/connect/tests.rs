//! Whole commands against a server that answers from a table.

use crate::args::Args;
use crate::failure::Failure;
use crate::tests::objects;
use clap::Parser;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What a request whose line contains the first text is answered: status and body; the first that
/// fits. Status 0: no answer.
type Answers = Vec<(&'static str, u16, Value)>;

/// A command that was run, and the requests that the server saw: line and body.
struct Run {
    result: Result<String, Failure>,
    /// How the program would end.
    code: u8,
    asked: Vec<String>,
}

/// A server that answers so; returns a kubeconfig file for it, and what it will have been asked.
fn server(answers: Answers) -> (PathBuf, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let file = std::env::temp_dir().join(format!("kubeconfig-{port}"));
    let kubeconfig = json!({
        "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "current-context": "c",
    });
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (answers, log) = (answers.clone(), log.clone());
            std::thread::spawn(move || serve(&stream.unwrap(), &answers, &log));
        }
    });
    (file, asked)
}

fn run(line: &str, answers: Answers) -> Run {
    let (file, asked) = server(answers);
    let words = ["plugin", "--kubeconfig", file.to_str().unwrap()].into_iter();
    let args = Args::try_parse_from(words.chain(line.split(' '))).unwrap();
    let (result, code) = match crate::execute(&args) {
        Ok(said) => (Ok(said.text), said.code),
        Err(failure) => {
            let code = failure.exit_code();
            (Err(failure), code)
        }
    };
    std::fs::remove_file(file).unwrap();
    let asked = asked.lock().unwrap().clone();
    Run {
        result,
        code,
        asked,
    }
}

fn serve(stream: &TcpStream, answers: &Answers, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).unwrap();
        log.lock()
            .unwrap()
            .push(format!("{}{body}", line.trim_end()));
        let found = answers.iter().find(|(part, _, _)| line.contains(part));
        let (_, status, answer) = found.unwrap_or_else(|| panic!("no answer to {line}"));
        if *status == 0 {
            std::thread::park();
        }
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} \r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        let mut stream = stream;
        stream.write_all((head + &answer).as_bytes()).ok()?;
    }
}

/// A list of the settled case's objects of this kind.
fn list(kind: &str) -> Value {
    let items: Vec<Value> = objects("settled")
        .into_iter()
        .filter(|object| object["kind"] == kind)
        .collect();
    json!({"metadata": {}, "items": items})
}

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "message": message})
}

#[test]
fn a_status_takes_one_list_a_kind_in_pages() {
    let mut pods = list("Pod");
    let rest = pods["items"].as_array_mut().unwrap().split_off(1);
    pods["metadata"]["continue"] = json!("more");
    let run = run(
        "status -o json",
        vec![
            ("/leases", 200, list("Lease")),
            ("continue=more", 200, json!({"metadata": {}, "items": rest})),
            ("/pods", 200, pods),
            ("/services", 200, list("Service")),
        ],
    );
    let said: Value = serde_json::from_str(&run.result.unwrap()).unwrap();
    assert_eq!(said["groups"][0]["pods"].as_array().unwrap().len(), 3);
    let selector = "&labelSelector=active-passive.dev%2Fgroup";
    assert_eq!(
        run.asked,
        [
            "GET /apis/coordination.k8s.io/v1/namespaces/shop/leases?limit=500 HTTP/1.1".to_owned(),
            format!("GET /api/v1/namespaces/shop/pods?limit=500{selector} HTTP/1.1"),
            format!("GET /api/v1/namespaces/shop/pods?limit=500{selector}&continue=more HTTP/1.1"),
            "GET /api/v1/namespaces/shop/services?limit=500 HTTP/1.1".to_owned(),
        ]
    );
}

/// The case's objects of this kind, as the API server lists them.
fn list_of(case: &str, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let objects = objects(case).into_iter();
    let items: Vec<Value> = objects
        .filter(|it| it["kind"] == kind && fits(it))
        .collect();
    json!({"metadata": {}, "items": items})
}

/// Services of the namespace `shop` in Service mode cost one list more; one that is asked for by its
/// name is found, and said to be no group where a group is wanted.
#[test]
fn a_status_reads_pods_of_service_mode_where_there_are_such_services() {
    let case = "service_mode";
    let in_shop = |it: &Value| it["metadata"]["namespace"] == "shop";
    let group = "active-passive.dev/group";
    let has_group = |it: &Value| !it["metadata"]["labels"][group].is_null();
    let grouped = |it: &Value| in_shop(it) && has_group(it);
    let others = |it: &Value| in_shop(it) && !has_group(it);
    let answers = || {
        vec![
            ("/leases", 200, list_of(case, "Lease", in_shop)),
            ("labelSelector=%21", 200, list_of(case, "Pod", others)),
            ("/pods", 200, list_of(case, "Pod", grouped)),
            ("/services", 200, list_of(case, "Service", in_shop)),
        ]
    };
    let all = run("status", answers());
    let said = all.result.unwrap();
    let mut cells = said
        .lines()
        .map(|it| it.split_whitespace().collect::<Vec<_>>());
    let web = cells.find(|cells| cells.first() == Some(&"web")).unwrap();
    assert_eq!(
        [web[1], web[3], web[4], web[5]],
        ["web-2", "2/3", "1", "-"],
        "{said}"
    );
    assert_eq!(all.asked.len(), 4, "{:#?}", all.asked);
    assert_eq!(
        all.asked[3],
        "GET /api/v1/namespaces/shop/pods?limit=500\
         &labelSelector=%21active-passive.dev%2Fgroup HTTP/1.1"
    );
    for name in ["web", "service/web", "svc/web"] {
        let said = run(&format!("status {name}"), answers()).result.unwrap();
        let first = "Service:    web in namespace shop, in Service mode\nActive:     web-2 on n2, ";
        assert!(said.starts_with(first), "{said}");
    }
    // Both a group and a Service have this name.
    let said = run("status led", answers()).result.unwrap();
    let note = "status service/led` shows it\n";
    assert!(
        said.starts_with("Group:      led ") && said.ends_with(note),
        "{said}"
    );
    for (line, why) in [
        ("status wbe", "did you mean web?"),
        (
            "status service/wbe",
            "no Service wbe in Service mode in namespace shop",
        ),
        (
            "pause web",
            "Service web is in Service mode, without a group",
        ),
    ] {
        let failure = run(line, answers()).result.unwrap_err().to_string();
        assert!(failure.contains(why), "{line}: {failure}");
    }
    let mut blind = answers();
    blind[1] = ("labelSelector=%21", 403, status(403, "no"));
    let said = run("status web", blind).result.unwrap();
    assert!(said.contains("Active:     u-web-2, for "), "{said}");
    assert!(
        said.ends_with("note: you may not list pods: no\n"),
        "{said}"
    );
}

#[test]
fn a_missing_right_is_named_and_the_rest_is_shown() {
    let no = || status(403, "User \"jane\" cannot list it");
    let some = vec![
        ("/leases", 200, list("Lease")),
        ("/pods", 200, list("Pod")),
        ("/services", 403, no()),
    ];
    let said = run("status", some).result.unwrap();
    let note = "note: you may not list services: User \"jane\" cannot list it\n";
    assert!(said.contains("web-3") && said.ends_with(note), "{said}");

    let nothing = vec![("/shop/", 403, no())];
    let failure = run("status", nothing).result.unwrap_err();
    assert_eq!(failure.exit_code(), crate::exit::FAILED);
    assert!(
        failure.to_string().contains("you may not list pods"),
        "{failure}"
    );
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_as_long_as_asked() {
    let answers = vec![("/shop/", 0, json!({}))];
    let failure = run("status --request-timeout 50ms", answers)
        .result
        .unwrap_err();
    let told = "list leases: no answer within 50 ms; --request-timeout allows more";
    assert_eq!(failure.to_string(), told);
}

#[test]
fn a_server_that_is_not_there_is_said_to_be_so() {
    let refused = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (file, _) = server(Vec::new());
    let port = refused.local_addr().unwrap().port();
    drop(refused);
    let kubeconfig = std::fs::read_to_string(&file).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&kubeconfig).unwrap();
    kubeconfig["clusters"][0]["cluster"]["server"] = json!(format!("http://127.0.0.1:{port}"));
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let line = ["plugin", "status", "--kubeconfig", file.to_str().unwrap()];
    let failure = crate::execute(&Args::try_parse_from(line).unwrap()).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    let told = failure.to_string();
    let begins = "list leases: the API server cannot be asked: Connection refused";
    assert!(
        told.starts_with(begins) && !told.contains("ServiceError"),
        "{told}"
    );
    assert!(!failure.is_answer());
}

#[test]
fn a_switchover_is_one_patch_of_the_lease() {
    let mut lease = list("Lease");
    let now = k8s_openapi::jiff::Timestamp::now();
    lease["items"][0]["spec"]["renewTime"] = json!(format!("{now:.6}"));
    let run = run(
        "switchover web --to web-1",
        vec![
            ("PATCH", 200, json!({})),
            ("/events", 200, json!({"items": []})),
            ("/leases", 200, lease),
            ("/pods", 200, list("Pod")),
            ("/services", 200, list("Service")),
        ],
    );
    let said = run.result.unwrap();
    assert!(
        said.starts_with("asked web-3 to hand over to web-1; "),
        "{said}"
    );
    let patch = "PATCH /apis/coordination.k8s.io/v1/namespaces/shop/leases/web\
                 ?fieldManager=kubectl-active-passive HTTP/1.1\
                 {\"metadata\":{\"annotations\":{\"active-passive.dev/switchover\":\"web-1\"}}}";
    let writes: Vec<&String> = run
        .asked
        .iter()
        .filter(|it| !it.starts_with("GET"))
        .collect();
    assert_eq!(writes, [patch]);
}

/// The worst user there is may read Leases, pods and Services: all else is named, and these are
/// checked. A webhook that cannot be asked is an error.
#[test]
fn a_check_goes_on_without_rights_and_fails_on_errors() {
    let no = || status(403, "User \"jane\" cannot read it");
    let call = "Internal error occurred: failed calling webhook \"inject\": no endpoints available";
    let run = run(
        "check",
        vec![
            ("POST", 500, status(500, call)),
            ("/leases", 200, list("Lease")),
            ("/pods", 200, list("Pod")),
            ("/services?", 200, list("Service")),
            ("GET", 403, no()),
        ],
    );
    let said = run.result.unwrap();
    assert_eq!(run.code, crate::exit::UNSOUND);
    for part in [
        "warning  Certificate: not checked: you may not read the webhook's Secret: User \"jane\"",
        "error    Injection: the API server cannot ask the webhook: ",
        "warning  GroupRights: not checked: you may not list rolebindings: ",
        "error    NoLeader: group web in namespace shop: the Lease of web-3 expired ",
        "         see: docs/operations.md#activepassivenobodyactive\n",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let writes: Vec<&String> = run
        .asked
        .iter()
        .filter(|it| !it.starts_with("GET"))
        .collect();
    let dry = "POST /api/v1/namespaces/shop/pods?dryRun=All HTTP/1.1{";
    assert!(
        writes.len() == 1 && writes[0].starts_with(dry),
        "{writes:?}"
    );
}

#[test]
fn a_check_before_the_install_asks_for_each_right() {
    let resources = json!({"resources": [{"name": "mutatingwebhookconfigurations"},
                                         {"name": "validatingwebhookconfigurations"},
                                         {"name": "validatingadmissionpolicies"},
                                         {"name": "validatingadmissionpolicybindings"}]});
    let mut pod = json!({"metadata": {}, "spec": {}});
    pod["spec"]["initContainers"] = json!([{"name": "sidecar"}]);
    let run = run(
        "check --pre -o json",
        vec![
            ("/version", 200, json!({"gitVersion": "v1.33.1"})),
            (
                "selfsubjectaccessreviews",
                201,
                json!({"status": {"allowed": true}}),
            ),
            ("dryRun=All", 201, pod),
            ("/nodes", 403, status(403, "no")),
            (
                "/namespaces/shop ",
                200,
                json!({"metadata": {"name": "shop"}}),
            ),
            ("/namespaces/active-passive-system ", 404, status(404, "no")),
            (
                "/mutatingwebhookconfigurations",
                200,
                json!({"metadata": {}, "items": []}),
            ),
            ("GET /apis/admissionregistration.k8s.io/v1 ", 200, resources),
        ],
    );
    let said: Value = serde_json::from_str(&run.result.unwrap()).unwrap();
    assert_eq!(run.code, crate::exit::UNSOUND);
    assert_eq!((&said["errors"], &said["warnings"]), (&json!(1), &json!(1)));
    let findings = said["sections"][0]["findings"].as_array().unwrap();
    let bad = findings.iter().find(|it| it["level"] == "error").unwrap();
    assert_eq!(bad["check"], "NativeSidecars");
    let asked = |part: &str| run.asked.iter().filter(|it| it.contains(part)).count();
    // All kinds but the two that this API server does not know.
    assert_eq!(asked("selfsubjectaccessreviews"), 18);
    assert_eq!(asked("\"resource\":\"mutatingadmissionpolicies\""), 0);
}

#[test]
fn versions_are_those_of_who_is_there() {
    let deployment = json!({
        "metadata": {"labels": {"app.kubernetes.io/version": "0.2.0"}},
    });
    let run = run(
        "version",
        vec![
            ("/mutatingwebhookconfigurations/", 403, status(403, "no")),
            (
                "/active-passive-system/deployments/active-passive-webhook",
                200,
                deployment,
            ),
            ("/leases", 200, list("Lease")),
            ("/pods", 200, list("Pod")),
            ("/services", 200, list("Service")),
        ],
    );
    let client = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "client    {client}\nwebhook   0.2.0\nsidecars  0.1.0 (3 pods) in namespace shop\n"
    );
    assert_eq!(run.result.unwrap(), expected);
}

#[test]
fn a_history_is_drawn_into_a_file() {
    let answers = || {
        vec![
            ("/leases", 200, list("Lease")),
            ("/pods", 200, list("Pod")),
            ("/services", 200, list("Service")),
        ]
    };
    let drawn = run("history web --svg -", answers()).result.unwrap();
    assert!(
        drawn.starts_with("<svg ") && drawn.contains("web-3"),
        "{drawn}"
    );
    let file = std::env::temp_dir().join(format!("history-{}.svg", std::process::id()));
    let told = run(&format!("history web --svg {}", file.display()), answers());
    let expected = format!("3 moves are drawn in {}\n", file.display());
    assert_eq!(told.result.unwrap(), expected);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("<svg "));
    std::fs::remove_file(file).unwrap();
    let failed = run("history web --svg /no/such/folder/file", answers());
    let failure = failed.result.unwrap_err().to_string();
    assert!(failure.contains("/no/such/folder/file: "), "{failure}");
}

/// What the tab key offers after a command that takes a group, and after a flag that takes a pod.
#[test]
fn groups_and_pods_are_completed() {
    let answers = vec![
        ("/leases", 200, list("Lease")),
        ("/pods", 200, list("Pod")),
        ("/services", 200, list("Service")),
    ];
    let (file, asked) = server(answers);
    let file = file.to_str().unwrap();
    let offered = |line: &[&str]| {
        let words = [&["--kubeconfig", file], line].concat();
        let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        crate::suggest::answer(&words)
    };
    assert_eq!(offered(&["status", "w"]), "web\n:4\n");
    let to = ["-n", "other", "switchover", "web", "--to", ""];
    assert_eq!(offered(&to), "web-1\nweb-2\n:4\n");
    let asked = asked.lock().unwrap();
    let last = asked.iter().find(|it| it.contains("/other/leases"));
    assert!(last.is_some(), "{asked:?}");
    std::fs::remove_file(file).unwrap();
}
