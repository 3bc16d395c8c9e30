//! The second stage: pid 1 of the sandbox.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, pivot_root, sethostname, setsid};
use rustix::thread::CapabilitySet;
use stack::overlay::{Features, Overlay, Upper};

use super::outer::exit_code;
use super::spec::{Bind, Bounds, Layer, Spec, Step, Work};
use super::{bounds, lifeline, unpack};
use crate::error::{Error, Result};

const NONE: Option<&str> = None;

/// Devices that a build sees. They are bound, because a user namespace may not make them.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links in `/dev` that programs expect.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// Parts of `/proc` that act on the whole machine when the caller outside is root.
const PROC_OF_THE_MACHINE: [&str; 5] =
    ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"];

/// What the user 0 of a build may still do: change modes and owners of its own files, as `install` and `tar` do.
const KEPT_RIGHTS: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL);

/// Where the scripts of the steps stand inside.
const STEP_FOLDER: &str = "/run/lamina-steps";

/// Makes the root, runs the steps, and returns the status of the first that failed.
pub(super) fn run(spec_path: &Path) -> Result<i32> {
    lifeline::tie_to_parent()?;
    let bytes = fs::read(spec_path).map_err(Error::on(spec_path.display()))?;
    let spec: Spec = serde_json::from_slice(&bytes).map_err(Error::on(spec_path.display()))?;
    umask(Mode::from_bits_truncate(0o022));
    setsid().map_err(Error::on("cannot leave the terminal"))?;
    sethostname("lamina").map_err(Error::on("cannot name the host"))?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(Error::on("cannot make the mounts of the namespace private"))?;
    let root = stack_layers(&spec)?;
    for bind in &spec.binds {
        bind_into(&root, bind)?;
    }
    fill_dev(&root, &spec.bounds)?;
    mount_tmpfs(&make_folder(&root, "/tmp")?, &spec.bounds.tmpfs_options("1777"))?;
    mount_proc(&root)?;
    leave_old_root(&root)?;
    spec.bounds.bind()?;
    give_up_rights()?;
    run_steps(&spec)
}

/// The overlay of all layers with a throwaway top, which lives in memory and goes with the namespace.
fn stack_layers(spec: &Spec) -> Result<PathBuf> {
    let lower: Vec<PathBuf> = spec
        .layers
        .iter()
        .map(|layer| match layer {
            Layer::Tree(path) | Layer::Image(path) => path.clone(),
        })
        .collect();
    let top = spec.mounts.join("top");
    fs::create_dir_all(&top).map_err(Error::on(top.display()))?;
    mount_tmpfs(&top, &spec.bounds.tmpfs_options("0755"))?;
    let [upper, work, root] = ["upper", "work", "root"].map(|name| top.join(name));
    for folder in [&upper, &work, &root] {
        fs::create_dir(folder).map_err(Error::on(folder.display()))?;
    }
    let overlay = Overlay {
        lower,
        upper: Some(Upper { upper, work }),
        userxattr: true,
        features: Features::KernelDefault,
    };
    overlay.mount(&root).map_err(|error| Error::new("the root of the sandbox", error))?;
    Ok(root)
}

/// Binds one path, read-only where asked, after making something to bind it over.
fn bind_into(root: &Path, bind: &Bind) -> Result<()> {
    let metadata = fs::metadata(&bind.source).map_err(Error::on(bind.source.display()))?;
    let target = if metadata.is_dir() {
        make_folder(root, &bind.target.display().to_string())?
    } else {
        make_file(root, &bind.target)?
    };
    let say = || format!("cannot bind {} to {}", bind.source.display(), bind.target.display());
    mount(Some(&bind.source), &target, NONE, MsFlags::MS_BIND, NONE).map_err(Error::on(say()))?;
    if !bind.writable {
        make_read_only(&target).map_err(Error::on(say()))?;
    }
    Ok(())
}

/// Remounts a bind read-only. In a user namespace the flags that the mount already has must be given again, or the
/// kernel answers EPERM (mount_namespaces(7)).
fn make_read_only(target: &Path) -> nix::Result<()> {
    let locked = nix::sys::statvfs::statvfs(target)?.flags().bits();
    let kept = [
        (nix::sys::statvfs::FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (nix::sys::statvfs::FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (nix::sys::statvfs::FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (nix::sys::statvfs::FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (nix::sys::statvfs::FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (seen, flag) in kept {
        if locked & seen.bits() != 0 {
            flags |= flag;
        }
    }
    mount(NONE, target, NONE, flags, NONE)
}

fn fill_dev(root: &Path, bounds: &Bounds) -> Result<()> {
    let dev = make_folder(root, "/dev")?;
    mount_tmpfs(&dev, &bounds::dev_options())?;
    for name in DEVICES {
        let (host, target) = (Path::new("/dev").join(name), dev.join(name));
        File::create(&target).map_err(Error::on(target.display()))?;
        mount(Some(&host), &target, NONE, MsFlags::MS_BIND, NONE).map_err(Error::on(host.display()))?;
    }
    for (to, name) in DEVICE_LINKS {
        symlink(to, dev.join(name)).map_err(Error::on(name))?;
    }
    mount_tmpfs(&make_folder(root, "/dev/shm")?, &bounds.tmpfs_options("1777"))
}

fn mount_proc(root: &Path) -> Result<()> {
    let proc = make_folder(root, "/proc")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &proc, Some("proc"), flags, NONE).map_err(|errno| {
        Error::new("cannot mount /proc in the sandbox", errno).remedy(
            "in a container, /proc must not be masked: run it with `--security-opt unmask=ALL` or the like",
        )
    })?;
    for path in PROC_OF_THE_MACHINE {
        let target = root.join(path.trim_start_matches('/'));
        if !target.exists() {
            continue;
        }
        mount(Some(&target), &target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
            .and_then(|()| make_read_only(&target))
            .map_err(Error::on(format!("cannot make {path} read-only")))?;
    }
    Ok(())
}

fn mount_tmpfs(target: &Path, options: &str) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("lamina"), target, Some("tmpfs"), flags, Some(options)).map_err(Error::on(target.display()))
}

/// Makes a folder of the sandbox, component by component: a symbolic link in a layer would lead out of the root.
fn make_folder(root: &Path, path: &str) -> Result<PathBuf> {
    let mut folder = root.to_path_buf();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        folder.push(name);
        match fs::symlink_metadata(&folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                let seen = folder.strip_prefix(root).unwrap_or(&folder).display();
                return Err(Error::new(format!("/{seen}"), "is not a folder in the layers of this build")
                    .remedy("a layer has a file or a link there; the sandbox needs the place for itself"));
            }
            Err(_) => fs::create_dir(&folder).map_err(Error::on(path))?,
        }
    }
    Ok(folder)
}

fn make_file(root: &Path, path: &Path) -> Result<PathBuf> {
    if let Some(parent) = path.parent() {
        make_folder(root, &parent.display().to_string())?;
    }
    let file = root.join(path.strip_prefix("/").unwrap_or(path));
    File::create(&file).map_err(Error::on(path.display()))?;
    Ok(file)
}

/// pivot_root(2) with the old root stacked on the new one's place, then detached: the machine is out of sight.
fn leave_old_root(root: &Path) -> Result<()> {
    let attempt = || -> nix::Result<()> {
        chdir(root)?;
        pivot_root(".", ".")?;
        umount2(".", MntFlags::MNT_DETACH)?;
        chdir("/")
    };
    attempt().map_err(Error::on("cannot enter the root of the sandbox"))
}

/// No step may mount, trace or load anything: only [`KEPT_RIGHTS`] are left, also for what it executes
/// (capabilities(7)).
fn give_up_rights() -> Result<()> {
    let failed = "cannot give up rights";
    for right in CapabilitySet::all().difference(KEPT_RIGHTS).iter() {
        // EINVAL: this kernel is older than the right, so nobody has it.
        match rustix::thread::remove_capability_from_bounding_set(right) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(errno) => return Err(Error::new(failed, errno)),
        }
    }
    prctl::set_no_new_privs().map_err(Error::on(failed))?;
    let sets = rustix::thread::CapabilitySets {
        effective: KEPT_RIGHTS,
        permitted: KEPT_RIGHTS,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).map_err(Error::on(failed))?;
    lifeline::tie_to_parent()
}

fn run_steps(spec: &Spec) -> Result<i32> {
    fs::create_dir_all(STEP_FOLDER).map_err(Error::on(STEP_FOLDER))?;
    for step in &spec.steps {
        let code = run_step(step, &spec.environment)?;
        if code != 0 {
            println!("lamina: step {} ended with status {code}", step.name);
            return Ok(code);
        }
    }
    Ok(0)
}

fn run_step(step: &Step, environment: &[(String, String)]) -> Result<i32> {
    println!("lamina: step {}", step.name);
    match &step.work {
        Work::Unpack { source, target } => Ok(unpack::run(source, target)),
        Work::Script { text, folder } => run_script(&step.name, text, folder, environment),
    }
}

fn run_script(name: &str, text: &str, folder: &Path, environment: &[(String, String)]) -> Result<i32> {
    fs::create_dir_all(folder).map_err(Error::on(folder.display()))?;
    let script = Path::new(STEP_FOLDER).join(name);
    fs::write(&script, text).map_err(Error::on(script.display()))?;
    let status = Command::new("/bin/sh")
        .arg("-eu")
        .arg(&script)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| {
            Error::new("/bin/sh", error).remedy("the bootstrap layer must have a shell at /bin/sh")
        })?;
    Ok(exit_code(status))
}
