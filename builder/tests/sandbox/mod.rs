//! A tree of recipes and a store for one test, and `lamina` run on them as root or as an ordinary user.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The user that tests run as when root runs them: `nobody`.
const ORDINARY: &str = "65534";

/// Who runs `lamina`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Whoever runs the tests.
    Myself,
    /// User 65534, when root runs the tests.
    Ordinary,
}

/// A folder with `packages/` and a store.
pub struct Workshop {
    folder: TempDir,
    way: Way,
}

impl Workshop {
    /// The ways that this machine can test: root can become an ordinary user, an ordinary user cannot become root.
    pub fn ways() -> Vec<Way> {
        match nix::unistd::geteuid().is_root() {
            true => vec![Way::Myself, Way::Ordinary],
            false => vec![Way::Myself],
        }
    }

    /// A workshop without a store, with these packages and, as its cache, the sources of all of them.
    #[allow(dead_code, reason = "one test wants the whole tree")]
    pub fn of_tree(way: Way, packages: &Path, cache: &Path) -> Self {
        let workshop = Workshop::empty(way);
        let copied =
            Command::new("cp").arg("-R").arg(packages).arg(workshop.path("packages")).status().unwrap();
        assert!(copied.success());
        std::os::unix::fs::symlink(cache, workshop.path("cache")).unwrap();
        workshop.give();
        workshop
    }

    fn empty(way: Way) -> Self {
        let folder = tempfile::Builder::new().prefix("lamina-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let workshop = Workshop { folder, way };
        // Another user may not be able to reach the folder where cargo put it.
        // By another process: what this one has open for writing cannot be executed while another test starts a program (ETXTBSY).
        let program = env!("CARGO_BIN_EXE_lamina");
        assert!(Command::new("cp").arg(program).arg(workshop.path("lamina")).status().unwrap().success());
        workshop
    }

    /// Gives everything to the user who runs `lamina`.
    fn give(&self) {
        if self.way == Way::Ordinary {
            let status =
                Command::new("chown").args(["-R", ORDINARY]).arg(self.folder.path()).status().unwrap();
            assert!(status.success());
        }
    }

    /// A workshop whose store has the bootstrap layer.
    pub fn new(way: Way) -> Self {
        let workshop = Workshop::empty(way);
        let bootstrap = workshop.path("packages/bootstrap");
        fs::create_dir_all(&bootstrap).unwrap();
        for entry in fs::read_dir(repository().join("packages/bootstrap")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), bootstrap.join(entry.file_name())).unwrap();
        }
        for kind in ["images", "builds"] {
            fs::create_dir_all(workshop.path("store").join(kind)).unwrap();
            for entry in fs::read_dir(bootstrap_store().join(kind)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), workshop.path("store").join(kind).join(entry.file_name())).unwrap();
            }
        }
        workshop.give();
        workshop
    }

    /// A path below the folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Where the store is.
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Writes a file of the tree.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a recipe with these nodes and what every recipe has.
    pub fn recipe(&self, name: &str, nodes: &str) {
        let text = format!(
            "recipe \"{name}\" {{\nversion \"1\"\ndescription \"A test\"\nlicense \"MIT\"\n{nodes}\n}}\n"
        );
        self.write(&format!("packages/{name}/recipe.kdl"), &text);
    }

    /// `lamina` with these arguments, on this tree and store, as this user.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let lamina = self.path("lamina");
        let mut command = match self.way {
            Way::Myself => Command::new(lamina),
            Way::Ordinary => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", ORDINARY, "--regid", ORDINARY, "--clear-groups"]).arg(lamina);
                command
            }
        };
        command.args(["--store".as_ref(), self.path("store").as_os_str()]);
        command.args(["--tree".as_ref(), self.folder.path().as_os_str()]).args(arguments);
        command.env("LAMINA_CACHE", self.path("cache")).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The whole command line of `lamina`, for a program that runs another.
    pub fn words(&self, arguments: &[&str]) -> Vec<OsString> {
        let command = self.command(arguments);
        let variables = command
            .get_envs()
            .filter_map(|(name, value)| value.map(|value| [name, value].join(OsStr::new("="))));
        let words = [command.get_program()].into_iter().chain(command.get_args()).map(OsStr::to_owned);
        ["env".into()].into_iter().chain(variables).chain(words).collect()
    }

    fn run(&self, arguments: &[&str]) -> (Output, String) {
        let output = self.command(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
        (output, told)
    }

    /// Runs `lamina`, which must succeed, and returns all it said.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let (output, told) = self.run(arguments);
        assert!(output.status.success(), "{arguments:?} as {:?}:\n{told}", self.way);
        told
    }

    /// Runs `lamina`, which must fail, and returns all it said.
    pub fn fail(&self, arguments: &[&str]) -> String {
        let (output, told) = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?} as {:?}:\n{told}", self.way);
        told
    }

    /// Starts `lamina`. `setpriv` becomes it, so that the child is `lamina` itself.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn records(&self) -> Vec<serde_json::Value> {
        let output = self.command(&["store", "list", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn has_record(&self, name: &str) -> bool {
        self.records().iter().any(|record| record["name"] == name)
    }

    /// The record of a build, as JSON.
    pub fn record(&self, name: &str) -> serde_json::Value {
        self.records().into_iter().find(|record| record["name"] == name).unwrap()
    }

    /// A file of the image of a package.
    pub fn read_from_image(&self, name: &str, path: &str) -> String {
        let digest = self.record(name)["digest"].as_str().unwrap().replace("sha256:", "");
        let image = squashfs::Image::open(&self.store().join(format!("images/{digest}.sqfs"))).unwrap();
        String::from_utf8(image.read(path.as_bytes()).unwrap()).unwrap()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// What is in `tmp/`.
    pub fn scratch(&self) -> Vec<String> {
        self.names("store/tmp").into_iter().filter(|name| name != ".lock").collect()
    }

    /// Names in all folders of `checks/`.
    pub fn kept_checks(&self) -> Vec<String> {
        let folders = self.names("store/checks");
        let mut names: Vec<String> =
            folders.iter().flat_map(|folder| self.names(&format!("store/checks/{folder}"))).collect();
        names.sort();
        names
    }

    pub fn images(&self) -> Vec<String> {
        self.names("store/images")
    }

    /// All logs.
    pub fn logs(&self) -> String {
        let text = |name: &String| fs::read_to_string(self.path("store/logs").join(name)).unwrap_or_default();
        self.names("store/logs").iter().map(text).collect()
    }

    /// Processes that have a path of this workshop on their command line or run in its sandbox.
    pub fn processes(&self) -> Vec<String> {
        let folder = self.folder.path().to_str().unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let mounts = String::from_utf8_lossy(&read("mountinfo")).into_owned();
            if line.contains(folder) || mounts.contains(folder.trim_start_matches('/')) {
                found.push(line);
            }
        }
        found
    }

    /// Mounts of this process's namespace that belong to the workshop.
    pub fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts
            .lines()
            .filter(|line| line.contains(self.folder.path().to_str().unwrap()))
            .map(str::to_owned)
            .collect()
    }

    /// Images of the workshop that a loop device holds.
    pub fn loop_devices(&self) -> Vec<String> {
        let devices = fs::read_dir("/sys/block").unwrap().flatten();
        let backing =
            devices.filter_map(|entry| fs::read_to_string(entry.path().join("loop/backing_file")).ok());
        backing.filter(|file| file.starts_with(self.folder.path().to_str().unwrap())).collect()
    }
}

/// A store with the bootstrap layer alone, shared by all tests and by later runs.
fn bootstrap_store() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| {
        let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bootstrap-store");
        let output = Command::new(env!("CARGO_BIN_EXE_lamina"))
            .args(["--store".as_ref(), store.as_os_str()])
            .args(["--tree".as_ref(), repository().as_os_str()])
            .args(["build", "bootstrap"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        store
    })
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Sends a signal.
pub fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Waits until something holds, at most two minutes.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(120), "after two minutes it does not hold that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
