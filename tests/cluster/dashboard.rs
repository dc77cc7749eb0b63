//! `kubectl active-passive dashboard`, in a browser: real clicks move and pause the role of a real
//! group. Pictures of the page are kept in target/dashboard, for whoever looks after it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::project_root;
use tests::scene::Scene;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

use crate::browser::{Browser, Look};
use crate::cli::Plugin;
use crate::context::{Case, Context, eventually};

const GROUP: &str = "web";
const REPLICAS: usize = 3;
/// What the first line begins with.
const ADDRESS: &str = "dashboard: ";
/// Opens no browser.
pub(crate) const ADDRESS_ALONE: &str = "--no-open";
/// Longest time until the address is printed.
const STARTED: Duration = Duration::from_secs(15);
/// Longest time until a file is there, or gone, milliseconds.
const FILE_MS: u64 = 10_000;
/// Where the pictures are kept.
const PICTURES: &str = "target/dashboard";
const WIDE: u32 = 1_280;
const NARROW: u32 = 360;

pub(crate) const CASES: &[Case] = &[Case {
    name: "dashboard: clicks move and pause the role, moves are seen, an outage too",
    run: |context| Box::pin(dashboard(context)),
}];

async fn dashboard(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?;
    let scene = Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?;
    let (mut server, address) = start(&plugin, &[ADDRESS_ALONE]).await?;
    let mut browser = Browser::start(namespace).await?;
    let page = &mut browser;
    page.look(wide()).await?;
    page.open(&address).await?;
    page.until(
        "the group is shown",
        "document.querySelectorAll('.row').length === 1",
    )
    .await?;
    page.until(
        "it is live",
        "document.querySelector('#contact').dataset.state === 'live'",
    )
    .await?;
    // The key is in no address that a browser remembers.
    let hash = page.eval("location.href").await?;
    ensure!(!hash.to_string().contains("key="), "{hash}");
    pictures(page, "groups").await?;

    switchover(page, &scene).await?;
    pause(context, page).await?;
    outage(context, page, &scene).await?;
    rights(context, &plugin, page).await?;
    handed_over(&plugin, page).await?;

    let complaints = std::mem::take(&mut page.complaints);
    ensure!(complaints.is_empty(), "the page complains: {complaints:#?}");
    browser.end().await?;
    server.kill().await?;
    plugin.end()
}

/// Starts the command; returns it and the address that it prints.
pub(crate) async fn start(plugin: &Plugin<'_>, flags: &[&str]) -> Result<(Child, String)> {
    let mut server = plugin
        .command()
        .args(["active-passive", "dashboard"])
        .args(["--namespace", &plugin.context().namespace])
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()?;
    let said = server.stdout.take().context("no output")?;
    let mut lines = BufReader::new(said).lines();
    let first = timeout(STARTED, lines.next_line()).await??;
    let first = first.context("the command ended without a word")?;
    let address = first.strip_prefix(ADDRESS);
    let address = address.with_context(|| format!("no address: {first}"))?;
    Ok((server, address.to_owned()))
}

/// As on a screen where list and detail stand side by side.
pub(crate) fn wide() -> Look {
    look(WIDE, false)
}

fn look(width: u32, dark: bool) -> Look {
    let height = if width == WIDE { 860 } else { 780 };
    Look {
        width,
        height,
        dark,
    }
}

/// Pictures in both themes at both widths; the page is wide and light afterwards.
pub(crate) async fn pictures(page: &mut Browser, name: &str) -> Result<()> {
    let folder: PathBuf = project_root().join(PICTURES);
    std::fs::create_dir_all(&folder)?;
    for (width, dark) in [(NARROW, true), (NARROW, false), (WIDE, true), (WIDE, false)] {
        page.look(look(width, dark)).await?;
        let theme = if dark { "dark" } else { "light" };
        let file = folder.join(format!("{name}-{width}-{theme}.png"));
        page.picture(&file).await?;
        let wider = "document.documentElement.scrollWidth > innerWidth";
        let wider = page.eval(wider).await?;
        ensure!(wider == false, "{name} is wider than {width} pixels");
    }
    Ok(())
}

/// The role moves by clicks, and the page shows how.
async fn switchover(page: &mut Browser, scene: &Scene<'_>) -> Result<()> {
    let old = scene.settled().await?;
    page.click(".row").await?;
    let active = format!(
        "document.querySelector('.fact dd span')?.textContent === '{}'",
        old.name
    );
    page.until("the group is opened", &active).await?;
    page.click(".title .main").await?;
    page.until(
        "it asks first",
        "document.querySelector('#switchover').open",
    )
    .await?;
    pictures(page, "switchover").await?;
    ensure!(
        scene.settled().await?.uid == old.uid,
        "nobody has confirmed"
    );
    page.click("#switchover-go").await?;
    page.until("it is done", "!document.querySelector('#switchover').open")
        .await?;
    let new = scene.settled().await?;
    ensure!(new.uid != old.uid, "the role stayed with {}", old.name);

    let said = page.text(".outcome").await?;
    let expected = format!(
        "{} is active: role and traffic moved from {} within ",
        new.name, old.name
    );
    ensure!(said.starts_with(&expected), "no {expected:?} in {said:?}");
    let active = format!(
        "document.querySelector('.fact dd span').textContent === '{}'",
        new.name
    );
    page.until("the new pod is shown as active", &active)
        .await?;
    let newest = "document.querySelector('.moves tbody tr')";
    page.until(
        "the move is listed with how long it took",
        &format!(
            "{newest}.querySelector('.who').textContent === '{}' \
             && / m?s$/.test({newest}.querySelector('.took').textContent)",
            new.name
        ),
    )
    .await?;
    page.until(
        "the move is marked in the timeline",
        "/ m?s$/.test(document.querySelector('.strip .took.fresh')?.textContent ?? '')",
    )
    .await?;
    for (pod, phase) in [(&new.name, "active"), (&old.name, "standby")] {
        let lane = format!(
            "[...document.querySelectorAll('.lane-row')]
               .find(row => row.querySelector('.pod-name').textContent === '{pod}')
               ?.dataset.phase === '{phase}'"
        );
        page.until(&format!("the lane of {pod} is {phase}"), &lane)
            .await?;
    }
    let told = format!(
        "document.querySelector('#said').textContent.startsWith('{GROUP}: the move to {} took ')",
        new.name
    );
    page.until("it is said to who cannot see it", &told).await?;
    pictures(page, "moved").await
}

/// By keys alone.
async fn pause(context: &Context<'_>, page: &mut Browser) -> Result<()> {
    let paused = [
        "get",
        "lease",
        GROUP,
        "--output=jsonpath={.metadata.annotations.active-passive\\.dev/paused}",
    ];
    page.press("p").await?;
    page.until("it asks first", "document.querySelector('#pause').open")
        .await?;
    page.press("Enter").await?;
    let chip = "!document.querySelector('.title .chip').hidden";
    page.until("the pause is shown", chip).await?;
    let written = context.kubectl(&paused).await?;
    ensure!(written == "true", "paused is {written:?}");
    pictures(page, "paused").await?;
    page.press("p").await?;
    page.until("it asks again", "document.querySelector('#pause').open")
        .await?;
    page.press("Escape").await?;
    page.until("it can be left", "!document.querySelector('#pause').open")
        .await?;
    let written = context.kubectl(&paused).await?;
    ensure!(
        written == "true",
        "nobody has confirmed, and paused is {written:?}"
    );
    page.click(".title .quiet").await?;
    page.click("#pause-go").await?;
    page.until(
        "it goes on",
        "document.querySelector('.title .chip').hidden",
    )
    .await?;
    let written = context.kubectl(&paused).await?;
    ensure!(written.is_empty(), "paused is {written:?}");
    Ok(())
}

/// The page outlives a restart of the API server, says how old its data is, and shows the next move.
async fn outage(context: &Context<'_>, page: &mut Browser, scene: &Scene<'_>) -> Result<()> {
    context.cluster.stop_api_server().await?;
    page.until(
        "it says that it reconnects",
        "/^Reconnecting · data \\d+s old$/.test(document.querySelector('#contact-text').textContent)",
    )
    .await?;
    let active = page.text(".fact dd span").await?;
    pictures(page, "outage").await?;
    ensure!(active != "nobody", "what is not known is no absence");
    context.cluster.start_api_server().await?;
    page.until(
        "it is live again",
        "document.querySelector('#contact').dataset.state === 'live'",
    )
    .await?;
    let old = scene.settled().await?;
    scene.delete(&old.name).await?;
    let moved = format!(
        "!['', 'nobody', '{}'].includes(document.querySelector('.fact dd span').textContent)",
        old.name
    );
    page.until("the next move is shown", &moved).await?;
    let new = scene.settled().await?;
    let shown = json!(new.name);
    let there = format!("document.querySelector('.fact dd span').textContent === {shown}");
    page.until("who is active is who is", &there).await?;
    page.eval("location.hash = '#/'").await?;
    page.until(
        "all groups are shown",
        "document.querySelectorAll('.latest li').length >= 2",
    )
    .await?;
    pictures(page, "latest").await
}

/// What its user may not see is named, and the rest is shown. Without the key nothing is.
async fn rights(context: &Context<'_>, plugin: &Plugin<'_>, page: &mut Browser) -> Result<()> {
    let rights = [
        "--verb=list,watch",
        "--resource=leases.coordination.k8s.io,pods",
    ];
    let role = [&["create", "role", "viewer"], &rights[..]].concat();
    context.kubectl(&role).await?;
    let binding = [
        "create",
        "rolebinding",
        "viewer",
        "--role=viewer",
        "--user=viewer",
    ];
    context.kubectl(&binding).await?;
    let (mut server, address) = start(plugin, &[ADDRESS_ALONE, "--as", "viewer"]).await?;
    page.open(&address).await?;
    page.until(
        "the group is shown",
        "document.querySelectorAll('.row').length === 1",
    )
    .await?;
    let note = "document.querySelector('#notes').textContent.includes('you may not list services')";
    page.until("the missing right is named", note).await?;
    page.eval("sessionStorage.clear()").await?;
    let bare = address.split('#').next().unwrap_or_default();
    page.open(&format!("{bare}?again")).await?;
    let locked =
        "document.querySelector('#locked')?.hidden === false && !document.querySelector('.row')";
    page.until("without the key there is nothing", locked)
        .await?;
    server.kill().await?;
    Ok(())
}

/// Others on the machine, who see what a browser is started with, do not see the key: that is in a file
/// which they cannot read, and which is gone once it was used, or nobody needs it.
async fn handed_over(plugin: &Plugin<'_>, page: &mut Browser) -> Result<()> {
    let told = plugin.folder().join("opened");
    let script = format!("#!/bin/sh\necho \"$*\" >{}\n", told.display());
    let launcher = plugin.file("xdg-open", &script)?;
    std::fs::set_permissions(&launcher, PermissionsExt::from_mode(0o755))?;

    let (mut server, address) = start(plugin, &[]).await?;
    let file = opened(&told).await?;
    let key = address.rsplit('=').next().context("a key")?;
    ensure!(!file.contains(key), "{key} is in {file}");
    let folder = Path::new(&file).parent().context("a folder")?;
    for (path, expected) in [(Path::new(&file), 0o600), (folder, 0o700)] {
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
        ensure!(mode == expected, "{}: {mode:o}", path.display());
    }
    page.open(&format!("file://{file}")).await?;
    page.until(
        "the file leads to the page",
        "document.querySelectorAll('.row').length === 1",
    )
    .await?;
    gone(folder).await?;
    server.kill().await?;

    std::fs::remove_file(&told)?;
    let (mut server, _) = start(plugin, &[]).await?;
    let unused = opened(&told).await?;
    let process = server.id().context("it runs")?.cast_signed();
    kill(Pid::from_raw(process), Signal::SIGTERM)?;
    ensure!(
        timeout(STARTED, server.wait()).await??.success(),
        "it fails"
    );
    gone(Path::new(&unused)).await
}

/// What a browser was started with.
async fn opened(told: &Path) -> Result<String> {
    eventually("a browser is started", FILE_MS, async || {
        let said = std::fs::read_to_string(told).unwrap_or_default();
        let line = said.strip_suffix('\n').map(str::to_owned);
        Ok(line.ok_or(said))
    })
    .await
}

async fn gone(path: &Path) -> Result<()> {
    let what = format!("{} is gone", path.display());
    eventually(&what, FILE_MS, async || {
        Ok(if path.exists() {
            Err("it is there".to_owned())
        } else {
            Ok(())
        })
    })
    .await
}
