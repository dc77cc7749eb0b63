//! How Services follow the role: by each of the three rules, while they come and go, and against
//! another writer.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Service};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::clock;
use tests::cluster::{AuditEvent, Kube};
use tests::scene::{self, Active, Scene};

use crate::context::{Case, Context, eventually};
use crate::fencing_cast::{developer, service};

/// Longest time from the request to move the role to the move, milliseconds.
const MOVE_MS: u64 = 5_000;
/// How long a Service may take to point at the active pod once it is annotated, milliseconds.
const ROUTED_MS: u64 = 2_000;
/// Longer for a group's first one: the webhook binds the right to write Services, and the sidecar
/// finds that it has it, milliseconds.
const FIRST_ROUTED_MS: u64 = 10_000;
/// How long an Event may take, milliseconds.
const TOLD_MS: u64 = 5_000;
/// How long the API server may take to take up a changed rule, milliseconds.
const IN_FORCE_MS: u64 = 10_000;
/// Value of `routing.rule`, and what it must show.
const RULES: [&str; 3] = ["Policy", "Sidecar", "Webhook"];
/// Key of the audit log's annotation about what a webhook did.
const MUTATED: &str = "mutation.webhook.admission.k8s.io/round_0_index_";
/// How long another writer fights for a Service, milliseconds.
const FIGHT_MS: u64 = 4_000;
/// Writes of the sidecars in that time to one object: five at once, then with growing pauses of up
/// to 0.8 s; and some room.
const FIGHT_WRITES_MAX: usize = 16;
/// Fewest writes of the other one: fewer are no fight.
const FIGHT_BLOWS_MIN: usize = 50;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "routing: policy, sidecar and webhook each let a Service follow the role",
        run: |context| Box::pin(each_rule(context)),
    },
    Case {
        name: "routing: Services of every kind come and go while the group runs",
        run: |context| Box::pin(come_and_go(context)),
    },
    Case {
        name: "routing: another writer is answered and never fought in a hot loop",
        run: |context| Box::pin(fight(context)),
    },
];

/// Two pods and an annotated Service.
pub(crate) async fn open<'a>(context: &Context<'a>) -> Result<Scene<'a>> {
    let manifest = Scene::example()?.replace("replicas: 3", "replicas: 2");
    let scene = Scene::open(context.cluster, &context.namespace, "web", &manifest, 2);
    Ok(scene.await?)
}

/// Lets the role move by request, and waits until every one of these Services has followed.
pub(crate) async fn switch_over(
    context: &Context<'_>,
    scene: &mut Scene<'_>,
    services: &[&str],
) -> Result<Active> {
    let old = scene.settled().await?;
    let ask = [
        "annotate",
        "lease",
        "web",
        "active-passive.dev/switchover=any",
    ];
    context.kubectl(&ask).await?;
    scene.moved_from(&old, MOVE_MS).await?;
    let new = scene.settled().await?;
    ensure!(new.uid != old.uid, "the role stayed with {}", old.name);
    for service in services {
        points_at(scene, service, &new.uid, MOVE_MS).await?;
    }
    Ok(new)
}

/// Waits until the Service selects the pod with this uid.
pub(crate) async fn points_at(
    scene: &mut Scene<'_>,
    service: &str,
    uid: &str,
    deadline_ms: u64,
) -> Result<()> {
    let routed = scene.watcher.until(deadline_ms, |timeline| {
        (timeline.routed(service) == Some(uid)).then_some(())
    });
    let routed = routed.await;
    let instead = scene.watcher.timeline();
    let instead = instead.routed(service);
    routed.with_context(|| format!("{service} selects {instead:?} after {deadline_ms} ms"))
}

async fn each_rule(context: &Context<'_>) -> Result<()> {
    let result = under_each_rule(context).await;
    // Other tests need the default, however this one ended.
    let restored = scene::install_chart(context.cluster.kube(), &[]).await;
    result?;
    restored?;
    in_force(context, "Policy").await
}

async fn under_each_rule(context: &Context<'_>) -> Result<()> {
    let mut scene = open(context).await?;
    let developer = developer(context).await?;
    for rule in known(context, &RULES).await? {
        let value = format!("routing.rule={rule}");
        scene::install_chart(context.cluster.kube(), &[&value]).await?;
        in_force(context, rule).await?;
        // Nobody owns it yet but who applies it.
        recreate(context, &mut scene).await?;
        let mut audit = context.cluster.audit();
        audit.skip()?;
        switch_over(context, &mut scene, &["web"])
            .await
            .with_context(|| format!("under {value}"))?;
        let writes = sidecar_writes(&audit.read()?, context, "services");
        let by_webhook = writes.iter().filter(|write| is_mutated(write)).count();
        ensure!(!writes.is_empty(), "no sidecar wrote the Service");
        ensure!(
            (by_webhook > 0) == (rule == "Webhook"),
            "{by_webhook} writes were changed by the webhook under {rule}: {writes:#?}"
        );
        let service = context.api::<Service>().get("web").await?;
        let owners = selector_owners(&service);
        let applied = owners == ["kubectl-client-side-apply"];
        ensure!(
            applied == (rule != "Sidecar"),
            "under {rule} the selector belongs to {owners:?}"
        );
        // Under one rule this takes the key away, and the leader puts it back.
        replace(context, &developer).await?;
        let active = scene.settled().await?;
        points_at(&mut scene, "web", &active.uid, ROUTED_MS).await?;
    }
    Ok(())
}

/// Of these values of `routing.rule` those that this API server can go by: it derives nothing by
/// policies before 1.36.
pub(crate) async fn known(
    context: &Context<'_>,
    rules: &[&'static str],
) -> Result<Vec<&'static str>> {
    let group = "--api-group=admissionregistration.k8s.io";
    let kinds = ["api-resources", group, "--output=name"];
    let kinds = context.kubectl(&kinds).await?;
    let policies = kinds.contains("mutatingadmissionpolicies");
    let known = rules.iter().copied();
    Ok(known.filter(|rule| policies || *rule != "Policy").collect())
}

/// Waits until the API server goes by this rule: seen by what becomes of a new annotated Service.
pub(crate) async fn in_force(context: &Context<'_>, rule: &str) -> Result<()> {
    let derived = rule != "Sidecar";
    let services = context.api::<Service>();
    let wanted: Service = serde_json::from_value(service("probe", "probe", Some("probe")))?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually(
        &format!("routing.rule={rule} is in force"),
        IN_FORCE_MS,
        async || {
            let key = key(&services.create(&dry, &wanted).await?);
            Ok(if key.is_some() == derived {
                Ok(())
            } else {
                Err(format!("the key is {key:?}"))
            })
        },
    )
    .await
}

/// The key of ours in the selector.
pub(crate) fn key(service: &Service) -> Option<String> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    selector.get("active-passive.dev/pod").cloned()
}

/// Who owns the selector, as the API server keeps book.
pub(crate) fn selector_owners(service: &Service) -> Vec<String> {
    let fields = service.metadata.managed_fields.iter().flatten();
    let of_selector = |fields: &Value| fields.pointer("/f:spec/f:selector").is_some();
    fields
        .filter(|entry| {
            entry
                .fields_v1
                .as_ref()
                .is_some_and(|all| of_selector(&all.0))
        })
        .filter_map(|entry| entry.manager.clone())
        .collect()
}

/// Writes of the group's sidecars to a resource that were done.
fn sidecar_writes(events: &[AuditEvent], context: &Context<'_>, resource: &str) -> Vec<AuditEvent> {
    let account = format!(
        "system:serviceaccount:{}:active-passive-group-web",
        context.namespace
    );
    let written = |event: &&AuditEvent| {
        event.user.username == account
            && event.stage == "ResponseComplete"
            && ["patch", "update", "create"].contains(&event.verb.as_str())
            && event
                .object_ref
                .as_ref()
                .is_some_and(|object| object.resource == resource)
    };
    events.iter().filter(written).cloned().collect()
}

/// Whether the webhook's rule about Services changed this request.
pub(crate) fn is_mutated(event: &AuditEvent) -> bool {
    let mut notes = event
        .annotations
        .iter()
        .filter(|(key, _)| key.starts_with(MUTATED));
    notes.any(|(_, note)| {
        note.contains("route.active-passive.dev") && note.contains("\"mutated\":true")
    })
}

/// What is in somebody's file, instead of what is there.
async fn replace(context: &Context<'_>, by: &Kube) -> Result<()> {
    let args = ["--namespace", &context.namespace, "replace", "-f", "-"];
    let file = service("web", "web", Some("web")).to_string();
    by.kubectl_with_input(&args, &file).await?;
    Ok(())
}

async fn recreate(context: &Context<'_>, scene: &mut Scene<'_>) -> Result<()> {
    context.kubectl(&["delete", "service", "web"]).await?;
    context.apply(&service("web", "web", Some("web"))).await?;
    let active = scene.settled().await?;
    points_at(scene, "web", &active.uid, ROUTED_MS).await
}

async fn come_and_go(context: &Context<'_>) -> Result<()> {
    let mut scene = open(context).await?;
    let active = scene.settled().await?;
    recreate(context, &mut scene).await?;

    context.apply(&service("late", "web", None)).await?;
    ensure!(
        key_of(context, "late").await?.is_none(),
        "it is not annotated"
    );
    let group = "active-passive.dev/group";
    let annotate = ["annotate", "service", "late", &format!("{group}=web")];
    context.kubectl(&annotate).await?;
    points_at(&mut scene, "late", &active.uid, ROUTED_MS).await?;

    let mut headless = service("headless", "web", Some("web"));
    headless["spec"]["clusterIP"] = json!("None");
    let mut bare = service("bare", "web", Some("web"));
    bare["spec"]["selector"] = Value::Null;
    let nobody = service("nobody", "no-such-app", Some("web"));
    for service in [&headless, &bare, &nobody] {
        context.apply(service).await?;
    }
    let all = ["web", "late", "headless", "nobody"];
    for service in all {
        points_at(&mut scene, service, &active.uid, ROUTED_MS).await?;
    }
    told(context, "headless", "HeadlessService").await?;
    told(context, "nobody", "SelectorMatchesNoPod").await?;
    let active = switch_over(context, &mut scene, &all).await?;
    told(context, "late", "TrafficMoved").await?;

    context
        .kubectl(&["annotate", "service", "late", &format!("{group}-")])
        .await?;
    let late = context.api::<Service>().get("late").await?;
    let selector = late.spec.and_then(|spec| spec.selector).unwrap_or_default();
    ensure!(
        selector == [("app".into(), "web".into())].into(),
        "left behind: {selector:?}"
    );
    let bare = context.api::<Service>().get("bare").await?;
    ensure!(
        bare.annotations().len() == 2,
        "written: {:?}",
        bare.annotations()
    );
    let selector = bare.spec.and_then(|spec| spec.selector);
    ensure!(
        selector.is_none(),
        "a Service without selector has {selector:?}"
    );

    // Its sidecar has never been allowed to read a Service.
    first_service(context, &mut scene).await?;
    points_at(&mut scene, "web", &active.uid, 0).await
}

/// Waits until `kubectl describe` of the Service says so.
async fn told(context: &Context<'_>, service: &str, reason: &str) -> Result<()> {
    let fields = format!("involvedObject.kind=Service,involvedObject.name={service}");
    let about = ListParams::default().fields(&fields);
    eventually(
        &format!("Event {reason} on Service {service}"),
        TOLD_MS,
        async || {
            let events = context.api::<Event>().list(&about).await?.items;
            let reasons: Vec<_> = events
                .into_iter()
                .filter_map(|event| event.reason)
                .collect();
            let found = reasons.iter().any(|found| found == reason);
            Ok(if found {
                Ok(())
            } else {
                Err(format!("{reasons:?}"))
            })
        },
    )
    .await
}

async fn key_of(context: &Context<'_>, service: &str) -> Result<Option<String>> {
    Ok(key(&context.api::<Service>().get(service).await?))
}

/// A group that has run without any annotated Service gets its first one.
async fn first_service(context: &Context<'_>, scene: &mut Scene<'_>) -> Result<()> {
    let manifest = Scene::example()?.replace("replicas: 3", "replicas: 1");
    let (deployment, _) = manifest.split_once("\n---\n").context("one object")?;
    let deployment = deployment
        .replace("name: web", "name: solo")
        .replace("app: web", "app: solo");
    let apply = ["--namespace", &context.namespace, "apply", "-f", "-"];
    context
        .cluster
        .kubectl_with_input(&apply, &deployment)
        .await?;
    let active = "--selector=app=solo,active-passive.dev/role=active";
    let labelled = [
        "wait",
        "pods",
        active,
        "--for=condition=Ready",
        "--timeout=60s",
    ];
    eventually("the first pod is active", IN_FORCE_MS, async || {
        let waited = context.kubectl(&labelled).await;
        Ok(waited.map(drop).map_err(|error| error.to_string()))
    })
    .await?;
    let pod = context.pods("solo").await?.remove(0);
    context
        .apply(&service("solo", "solo", Some("solo")))
        .await?;
    points_at(scene, "solo", &pod.uid, FIRST_ROUTED_MS).await
}

/// Writes of the sidecars of a group while somebody fought for its Service.
#[derive(Debug)]
struct Answers {
    services: usize,
    pods: usize,
    leases: usize,
}

/// Makes the same edit of the Service as fast as the API server takes it.
async fn fight_with(context: &Context<'_>, edit: &Value) -> Result<Answers> {
    let services = context.api::<Service>();
    let (merge, edit) = (PatchParams::default(), Patch::Merge(edit));
    let mut audit = context.cluster.audit();
    audit.skip()?;
    let start_ms = clock::now_ms();
    let mut blows = 0;
    while clock::now_ms() < start_ms + FIGHT_MS {
        services.patch("web", &merge, &edit).await?;
        blows += 1;
    }
    ensure!(blows >= FIGHT_BLOWS_MIN, "{blows} writes are no fight");
    let events = audit.read()?;
    let of = |resource| sidecar_writes(&events, context, resource).len();
    let answers = Answers {
        services: of("services"),
        pods: of("pods"),
        leases: of("leases"),
    };
    println!("{blows} writes of another, {answers:?}");
    Ok(answers)
}

async fn fight(context: &Context<'_>) -> Result<()> {
    let mut scene = open(context).await?;
    let active = scene.settled().await?;
    let developer = developer(context).await?;
    let mut audit = context.cluster.audit();
    audit.skip()?;
    // Who is judged achieves nothing: the key is derived anew in the very write, the annotation is
    // refused, and no sidecar has anything to put right.
    let judged: Api<Service> = Api::namespaced(developer.client(), &context.namespace);
    let merge = PatchParams::default();
    let edit = |edit: Value| Patch::Merge(edit);
    let selector = json!({"spec": {"selector": {"active-passive.dev/pod": "nobody"}}});
    let written = judged.patch("web", &merge, &edit(selector)).await?;
    ensure!(
        key(&written).as_ref() == Some(&active.uid),
        "the key is {:?}",
        key(&written)
    );
    let away = json!({"metadata": {"annotations": {"active-passive.dev/active": "none"}}});
    let refused = judged.patch("web", &merge, &edit(away.clone())).await;
    ensure!(refused.is_err(), "somebody pointed the Service at none");
    let writes = sidecar_writes(&audit.read()?, context, "services");
    ensure!(writes.is_empty(), "the sidecar wrote: {writes:#?}");

    // An administrator is not judged, and may go on for ever.
    let answers = fight_with(context, &away).await?;
    ensure!(answers.services > 0, "nobody answered");
    ensure!(answers.services <= FIGHT_WRITES_MAX, "{answers:?}");
    ensure!(
        answers.pods == 0,
        "pods were written, which nobody touched: {answers:?}"
    );
    // One who names another pod in this very term is outbid by a higher one, each time.
    let standby = scene
        .pods()
        .await?
        .into_iter()
        .filter_map(|pod| pod.metadata.uid);
    let standby = standby.into_iter().find(|uid| *uid != active.uid);
    let standby = json!({"metadata": {"annotations": {"active-passive.dev/active": standby}}});
    let answers = fight_with(context, &standby).await?;
    ensure!(answers.services > 0, "nobody answered");
    let all = [answers.services, answers.pods / 2, answers.leases];
    ensure!(
        all.into_iter().all(|writes| writes <= FIGHT_WRITES_MAX),
        "{answers:?}"
    );
    told(context, "web", "ServiceContested").await?;
    // The other one has had enough.
    points_at(&mut scene, "web", &active.uid, ROUTED_MS).await?;
    let after = scene.settled().await?;
    ensure!(after.uid == active.uid, "the role moved");
    Ok(())
}
