//! A browser without a window, driven as DevTools drive it: commands and events as JSON over a pipe,
//! so that it takes no port, and no library for WebSockets.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tests::cluster::ensure_browser;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::context::eventually;

/// Longest time of one command.
const COMMAND: Duration = Duration::from_secs(20);
/// Longest time until a page shows what is waited for, milliseconds.
const SHOWN_MS: u64 = 15_000;
/// What ends a message.
const END: u8 = 0;
/// The browser reads commands from file 3 and writes answers to file 4; here they are its standard
/// input and output.
const PIPES: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: BufReader<ChildStdout>,
    last_id: u64,
    session: String,
    folder: PathBuf,
    /// What went wrong on the page: exceptions, and what the browser has blocked.
    pub(crate) complaints: Vec<String>,
}

/// How wide a page is, and whether it is dark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

impl Browser {
    /// Starts it with an empty page. `name` tells its folder from those of others.
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let program = ensure_browser().await?;
        let folder = std::env::temp_dir().join(format!("browser-{name}"));
        let mut process = Command::new("sh")
            .args(["-c", PIPES])
            .arg(program)
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", folder.display()))
            // It is root, shows one page of ours, and talks to this machine alone.
            .args(["--no-sandbox", "--no-proxy-server", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars"])
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let commands = process.stdin.take().context("no input")?;
        let messages = process.stdout.take().context("no output")?;
        let mut browser = Self {
            process,
            commands,
            messages: BufReader::new(messages),
            last_id: 0,
            session: String::new(),
            folder,
            complaints: Vec::new(),
        };
        let made = json!({"url": "about:blank"});
        let made = browser.command("Target.createTarget", made).await?;
        let attach = json!({"targetId": made["targetId"], "flatten": true});
        let attached = browser.command("Target.attachToTarget", attach).await?;
        let session = attached["sessionId"].as_str().context("a session")?;
        session.clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log"] {
            browser
                .command(&format!("{domain}.enable"), json!({}))
                .await?;
        }
        Ok(browser)
    }

    /// Ends it.
    pub(crate) async fn end(mut self) -> Result<()> {
        // It closes the pipe before it has answered.
        self.session.clear();
        self.command("Browser.close", json!({})).await.ok();
        timeout(COMMAND, self.process.wait()).await??;
        // Its children may still tidy up.
        std::fs::remove_dir_all(&self.folder).ok();
        Ok(())
    }

    /// Sends a command and returns its result.
    async fn command(&mut self, method: &str, params: Value) -> Result<Value> {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": params});
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(END);
        let answered = async {
            self.commands.write_all(&bytes).await?;
            loop {
                let mut message = Vec::new();
                let read = self.messages.read_until(END, &mut message).await?;
                ensure!(read > 0, "{method}: the browser has ended");
                message.pop();
                let message: Value = serde_json::from_slice(&message)?;
                self.note(&message);
                if message["id"] == self.last_id {
                    return Ok(message);
                }
            }
        };
        let answer = timeout(COMMAND, answered).await;
        let answer = answer.with_context(|| format!("{method}: no answer"))??;
        if !answer["error"].is_null() {
            bail!("{method}: {}", answer["error"]);
        }
        Ok(answer["result"].clone())
    }

    /// Keeps what went wrong on the page.
    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(params["exceptionDetails"].to_string());
            }
            // What the network says is looked at by what it does to the page.
            Some("Log.entryAdded") if params["entry"]["source"] != "network" => {
                self.complaints.push(params["entry"].to_string());
            }
            _ => {}
        }
    }

    /// How the page is seen from now on.
    pub(crate) async fn look(&mut self, look: Look) -> Result<()> {
        let size = json!({"width": look.width, "height": look.height, "deviceScaleFactor": 1,
                          "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size)
            .await?;
        let scheme = if look.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", media).await?;
        // Twice: what follows from the size is laid out and painted then.
        let painted =
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))";
        self.eval(painted).await.map(drop)
    }

    /// Opens an address.
    pub(crate) async fn open(&mut self, url: &str) -> Result<()> {
        let answer = self.command("Page.navigate", json!({"url": url})).await?;
        ensure!(answer["errorText"].is_null(), "open the page: {answer}");
        Ok(())
    }

    /// The value of an expression on the page; promises are waited for.
    pub(crate) async fn eval(&mut self, expression: &str) -> Result<Value> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.command("Runtime.evaluate", params).await?;
        let failed = &answer["exceptionDetails"];
        ensure!(failed.is_null(), "{expression}: {failed}");
        Ok(answer["result"]["value"].clone())
    }

    /// The text of the first element that fits; "" if there is none.
    pub(crate) async fn text(&mut self, selector: &str) -> Result<String> {
        let selector = json!(selector);
        let text = format!("document.querySelector({selector})?.textContent ?? ''");
        let text = self.eval(&text).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an expression holds.
    pub(crate) async fn until(&mut self, what: &str, expression: &str) -> Result<()> {
        let page = "document.querySelector('dialog[open]')?.innerText ?? document.body.innerText";
        eventually(what, SHOWN_MS, async || {
            // While a page comes and goes, what an expression is about is not there.
            let value = self.eval(expression).await;
            if value.as_ref().is_ok_and(|value| *value == true) {
                return Ok(Ok(()));
            }
            let shown = self.eval(page).await.unwrap_or_default();
            Ok(Err(format!("{value:?}, on\n{shown}")))
        })
        .await
    }

    /// Clicks with the mouse at the middle of the first element that fits, which has to be there to be
    /// clicked: visible, and nothing before it.
    pub(crate) async fn click(&mut self, selector: &str) -> Result<()> {
        let place = format!(
            "(() => {{
               const it = document.querySelector({selector});
               if (!it || it.disabled) return null;
               it.scrollIntoView({{block: 'center', behavior: 'instant'}});
               const box = it.getBoundingClientRect();
               const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
               const hit = document.elementFromPoint(x, y);
               return hit && (it.contains(hit) || hit.contains(it)) ? {{x, y}} : null;
             }})()",
            selector = json!(selector)
        );
        let what = format!("{selector} can be clicked");
        let place = eventually(&what, SHOWN_MS, async || {
            let place = self.eval(&place).await?;
            Ok(if place.is_null() {
                Err("not".to_owned())
            } else {
                Ok(place)
            })
        })
        .await?;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({"type": kind, "x": place["x"], "y": place["y"], "button": button,
                               "clickCount": 1});
            self.command("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// Presses a key, as `KeyboardEvent.key` names it.
    pub(crate) async fn press(&mut self, key: &str) -> Result<()> {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = match key {
            "Enter" => "\r",
            key if key.len() == 1 => key,
            _ => "",
        };
        let kind = if text.is_empty() {
            "rawKeyDown"
        } else {
            "keyDown"
        };
        for kind in [kind, "keyUp"] {
            let event = json!({"type": kind, "key": key, "text": text,
                               "windowsVirtualKeyCode": code});
            self.command("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Writes what is seen into a file.
    pub(crate) async fn picture(&mut self, file: &Path) -> Result<()> {
        let shot = self
            .command("Page.captureScreenshot", json!({"format": "png"}))
            .await?;
        let data = shot["data"].as_str().context("a picture")?;
        std::fs::write(file, BASE64.decode(data)?)?;
        Ok(())
    }
}
