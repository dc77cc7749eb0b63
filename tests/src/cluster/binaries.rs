//! Programs of the cluster: found, or built from the Go modules pinned in `tests/kubernetes`.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use tokio::process::Command;

use super::error::{Doing, Error, Result};
use super::{packages, run};
use crate::{progress, project_root};

/// The first build of the API server takes minutes on a small machine.
const BUILD_DEADLINE_MS: u64 = 30 * 60 * 1000;
const VERSION_DEADLINE_MS: u64 = 20_000;

/// Minor version of Kubernetes to test on, such as `1.33`, where it is not the one in go.mod: one that
/// a `go-<version>.mod` beside it pins.
const KUBE_VERSION: &str = "KUBE_VERSION";

/// Programs that come from one Go module.
struct Module {
    /// Folder in `tests/kubernetes`, and first part of the folder in the cache.
    name: &'static str,
    /// The module whose version in go.mod is the version of the programs.
    path: &'static str,
    /// Name of each program and its package.
    programs: &'static [(&'static str, &'static str)],
    /// Arguments that make the first program print its version.
    version_args: &'static [&'static str],
    /// Oldest version, major and minor, that serves when it is found on the machine.
    oldest: (u64, u64),
    /// Build tags, separated by commas.
    tags: &'static str,
}

const MODULES: [Module; 4] = [
    Module {
        name: "kubernetes",
        path: "k8s.io/kubernetes",
        programs: &[
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            (
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
            ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
        ],
        version_args: &["--version"],
        oldest: (1, 36),
        tags: "",
    },
    Module {
        name: "etcd",
        path: "go.etcd.io/etcd/server/v3",
        programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
        version_args: &["--version"],
        oldest: (3, 6),
        tags: "",
    },
    Module {
        name: "containerd",
        path: "github.com/containerd/containerd/v2",
        programs: &[
            (
                "containerd",
                "github.com/containerd/containerd/v2/cmd/containerd",
            ),
            (
                "containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            ),
            ("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
        ],
        version_args: &["--version"],
        oldest: (2, 2),
        tags: "",
    },
    Module {
        name: "helm",
        path: "helm.sh/helm/v4",
        programs: &[("helm", "helm.sh/helm/v4/cmd/helm")],
        version_args: &["version", "--short"],
        oldest: (4, 0),
        tags: "",
    },
];

/// The Helm before, which many still install with.
const HELM_3: Module = Module {
    name: "helm-3",
    path: "helm.sh/helm/v3",
    programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    version_args: &["version", "--short"],
    oldest: (3, 0),
    tags: "",
};

/// A client serves more versions than its own.
const KUBECTL: Module = Module {
    name: "kubernetes",
    path: "k8s.io/kubernetes",
    programs: &[("kubectl", "k8s.io/kubernetes/cmd/kubectl")],
    version_args: &["version", "--client"],
    oldest: (1, 30),
    tags: "",
};

/// Tests rules and queries.
const PROMTOOL: Module = Module {
    name: "prometheus",
    path: "github.com/prometheus/prometheus",
    programs: &[("promtool", "github.com/prometheus/prometheus/cmd/promtool")],
    version_args: &["--version"],
    oldest: (3, 0),
    tags: PROMETHEUS_TAGS,
};

/// Scrapes and answers queries.
const PROMETHEUS: Module = Module {
    programs: &[(
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
    )],
    ..PROMTOOL
};

/// Of all that it can discover targets by, only Kubernetes: the others are most of the program.
const PROMETHEUS_TAGS: &str = "remove_all_sd,enable_kubernetes_sd";

/// What helps where Go does not build.
pub(crate) const GO_CURE: &str = "let Go 1.26 or later reach a module proxy, and try again";

/// Folders that hold all programs of the cluster.
#[derive(Debug, Clone)]
pub struct Binaries {
    folders: Vec<PathBuf>,
}

impl Binaries {
    /// Finds the programs in `KUBEBUILDER_ASSETS`, on `PATH` or in the cache, or builds them.
    ///
    /// # Errors
    /// If Go is missing or a build fails.
    pub async fn find_or_build() -> Result<Self> {
        Self::of(&MODULES).await
    }

    /// Helm alone, which renders the chart without a cluster.
    ///
    /// # Errors
    /// If Go is missing or the build fails.
    pub async fn helm() -> Result<Self> {
        let helm = MODULES.iter().filter(|module| module.name == "helm");
        Self::of(helm).await
    }

    /// The Helm before, from the cache or built: one on `PATH` may be of any version.
    ///
    /// # Errors
    /// As [`Self::helm`].
    pub async fn helm_3() -> Result<Self> {
        let folders = vec![cached(&HELM_3, &Pin::of(&HELM_3)?).await?];
        Ok(Self { folders })
    }

    /// promtool alone, which tests the chart's alerts without a cluster.
    ///
    /// # Errors
    /// If Go is missing or the build fails.
    pub async fn promtool() -> Result<Self> {
        Self::of([&PROMTOOL]).await
    }

    /// Prometheus, which scrapes a cluster.
    ///
    /// # Errors
    /// If Go is missing or the build fails.
    pub async fn prometheus() -> Result<Self> {
        Self::of([&PROMETHEUS]).await
    }

    /// kubectl and helm, for a cluster that runs elsewhere.
    ///
    /// # Errors
    /// As [`Self::find_or_build`].
    pub async fn clients() -> Result<Self> {
        let helm = MODULES.iter().filter(|module| module.name == "helm");
        Self::of([&KUBECTL].into_iter().chain(helm)).await
    }

    async fn of(modules: impl IntoIterator<Item = &Module>) -> Result<Self> {
        let mut folders = Vec::new();
        for module in modules {
            let pin = Pin::of(module)?;
            let found = if pin.asked_for {
                None
            } else {
                found(module).await
            };
            folders.push(match found {
                Some(folder) => folder,
                None => cached(module, &pin).await?,
            });
        }
        Ok(Self { folders })
    }

    /// Path of a program such as `kubectl`.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        let known = self.folders.iter().map(|folder| folder.join(program));
        known
            .into_iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| program.into())
    }

    /// Value of `PATH` for programs of the cluster, which start others.
    #[must_use]
    pub fn search_path(&self) -> OsString {
        let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
        let folders = self.folders.iter().cloned().chain(system);
        env::join_paths(folders).unwrap_or_default()
    }

    /// Folders that the programs lie in.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }
}

/// A folder of the machine that has every program of the module, new enough.
async fn found(module: &Module) -> Option<PathBuf> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    for folder in assets.into_iter().chain(env::split_paths(&path)) {
        if !module
            .programs
            .iter()
            .all(|(program, _)| folder.join(program).is_file())
        {
            continue;
        }
        let mut command = Command::new(folder.join(module.programs[0].0));
        command.args(module.version_args);
        let printed = run::output("ask for the version", command, VERSION_DEADLINE_MS).await;
        if printed.is_ok_and(|printed| version(&printed) >= Some(module.oldest)) {
            return Some(folder);
        }
    }
    None
}

/// The first word that looks like a version: major and minor.
fn version(printed: &str) -> Option<(u64, u64)> {
    printed.split_whitespace().find_map(|word| {
        let mut numbers = word
            .strip_prefix('v')
            .unwrap_or(word)
            .split(['.', '+', '-']);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

/// The module's folder in the cache, complete.
async fn cached(module: &Module, pin: &Pin) -> Result<PathBuf> {
    let folder = cache()?
        .join("bin")
        .join(format!("{}-{}", module.name, pin.version));
    if module
        .programs
        .iter()
        .all(|(program, _)| folder.join(program).is_file())
    {
        return Ok(folder);
    }
    if packages::find("go").is_none() {
        return Err(
            Error::new(format!("build {}", module.name), "there is no go")
                .cure("install Go 1.26 or later"),
        );
    }
    let action = || format!("create {}", folder.display());
    fs::create_dir_all(&folder).doing(action)?;
    let _one_builder = lock(folder.join(".lock")).await?;
    for (program, package) in module.programs {
        let target = folder.join(program);
        if !target.is_file() {
            build(pin, package, module.tags, &target).await?;
        }
    }
    Ok(folder)
}

async fn lock(path: PathBuf) -> Result<Flock<File>> {
    let action = format!("lock {}", path.display());
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(path)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
    });
    locked
        .await
        .map_err(std::io::Error::other)
        .and_then(|lock| lock)
        .doing(|| action)
}

async fn build(pin: &Pin, package: &str, tags: &str, target: &Path) -> Result<()> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let step = progress::step(format!("building {name} {}, once", pin.version));
    let partial = Partial(target.with_extension("partial"));
    let mut go = Command::new("go");
    go.current_dir(&pin.folder)
        .env("CGO_ENABLED", "0")
        .args(["build", "-mod=readonly", "-trimpath"])
        .arg(format!("-modfile={}", pin.file))
        .arg(format!("-tags={tags}"))
        .args(["-ldflags", &linker_flags(&pin.version)])
        .arg("-o")
        .arg(&partial.0)
        .arg(package);
    run::output(&format!("build {name}"), go, BUILD_DEADLINE_MS)
        .await
        .map_err(|error| error.cure(GO_CURE))?;
    fs::rename(&partial.0, target).doing(|| format!("rename {}", partial.0.display()))?;
    step.done();
    Ok(())
}

/// A file or folder on its way to its name; what is not renamed is removed.
pub(crate) struct Partial(pub(crate) PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0).or_else(|_| fs::remove_dir_all(&self.0));
    }
}

/// Without these, Kubernetes' programs report v0.0.0 and their clients misbehave.
fn linker_flags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or("0"), numbers.next().unwrap_or("0"));
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} \
         -X {package}.gitMinor={minor}"
    )
}

/// Where the version of a module is written down.
struct Pin {
    /// Folder in `tests/kubernetes`.
    folder: PathBuf,
    /// Name of the file in it that Go reads in place of go.mod.
    file: String,
    /// The version it requires, such as `v1.36.3`.
    version: String,
    /// Whether it was asked for, so that no other version serves.
    asked_for: bool,
}

impl Pin {
    fn of(module: &Module) -> Result<Self> {
        let asked = env::var(KUBE_VERSION).ok();
        let asked = asked.filter(|asked| module.name == "kubernetes" && !asked.is_empty());
        Self::read(module, asked.as_deref())
    }

    /// What go.mod requires, or the file of the minor version that is asked for.
    fn read(module: &Module, asked: Option<&str>) -> Result<Self> {
        let folder = project_root().join("tests/kubernetes").join(module.name);
        let pinned = |file: &str| {
            let path = folder.join(file);
            let action = || format!("find the version of {} in {}", module.path, path.display());
            let text = fs::read_to_string(&path).doing(action)?;
            let version = text.lines().find_map(|line| {
                let line = line.trim();
                let line = line.strip_prefix("require ").unwrap_or(line);
                let version = line.strip_prefix(module.path)?.strip_prefix(' ')?;
                version.split(' ').next().map(str::to_string)
            });
            version.ok_or_else(|| Error::new(action(), "no line requires it"))
        };
        let (mut file, mut version) = ("go.mod".to_string(), pinned("go.mod")?);
        if let Some(asked) = asked.filter(|asked| !version.starts_with(&format!("v{asked}."))) {
            file = format!("go-{asked}.mod");
            version = pinned(&file).map_err(|error| {
                error.cure(format!(
                    "leave {KUBE_VERSION} out, or set it to a minor version with such a file"
                ))
            })?;
        }
        Ok(Self {
            folder,
            file,
            version,
            asked_for: asked.is_some(),
        })
    }
}

/// The project's folder for what is built once a machine.
pub(crate) fn cache() -> Result<PathBuf> {
    let root = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Some(home)) => Path::new(&home).join(".cache"),
        _ => {
            return Err(Error::new(
                "find the cache folder",
                "neither XDG_CACHE_HOME nor HOME is set",
            )
            .cure("set HOME"));
        }
    };
    Ok(root.join("active-passive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        for (printed, expected) in [
            ("Kubernetes v1.36.3\n", Some((1, 36))),
            (
                "etcd Version: 3.6.16\nGit SHA: Not provided\n",
                Some((3, 6)),
            ),
            (
                "containerd github.com/containerd/containerd/v2 2.4.2+unknown \n",
                Some((2, 4)),
            ),
            ("v4.3+gabcdef\n", Some((4, 3))),
            ("no version here", None),
        ] {
            assert_eq!(version(printed), expected, "{printed}");
        }
    }

    #[test]
    fn every_module_is_pinned() {
        for module in MODULES.iter().chain([&PROMTOOL, &HELM_3]) {
            let pin = Pin::read(module, None).unwrap();
            assert!(
                pin.version.starts_with('v') && !pin.asked_for,
                "{}",
                pin.version
            );
        }
    }

    #[test]
    fn a_version_that_is_asked_for_is_the_one_that_runs() {
        for (asked, file, begins) in [
            ("1.36", "go.mod", "v1.36."),
            ("1.33", "go-1.33.mod", "v1.33."),
        ] {
            let pin = Pin::read(&MODULES[0], Some(asked)).unwrap();
            assert!(
                pin.asked_for && pin.version.starts_with(begins),
                "{}",
                pin.version
            );
            assert_eq!(pin.file, file);
        }
        let Err(error) = Pin::read(&MODULES[0], Some("1.12")) else {
            panic!("there is no file for 1.12");
        };
        assert!(error.to_string().contains("KUBE_VERSION"), "{error}");
    }
}
