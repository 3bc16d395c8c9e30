//! The second stage: pid 1 of the sandbox.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, fchdir, pivot_root, sethostname, setsid};
use rustix::thread::CapabilitySet;
use stack::detached::DetachedMount;
use stack::mount::{Attributes, Filesystem};
use stack::overlay::{Features, Overlay, Upper};

use super::folders::{make_folder, mount_tmpfs};
use super::lifeline::Lifeline;
use super::outside::{Outside, Placed};
use super::proc::mount_proc;
use super::seccomp::{self, Policy};
use super::spec::{Bounds, Spec, Step, Work};
use super::{bounds, caller, other_order, shared_memory, unpack};
use crate::error::{Error, Result};

const NONE: Option<&str> = None;

/// Links in `/dev` that programs expect.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// What the user 0 of a build may still do: change modes and owners of its own files, as `install` and `tar` do.
const KEPT_RIGHTS: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL);

/// Where the scripts of the steps stand inside.
const STEP_FOLDER: &str = "/run/lamina-steps";

/// Makes the root, runs the steps, and returns the status of the first that failed.
pub(super) fn run(spec: &Spec, outside: Outside, lifeline: &Lifeline) -> Result<i32> {
    lifeline.tie_to_parent()?;
    caller::forget()?;
    umask(Mode::from_bits_truncate(0o022));
    setsid().map_err(Error::on("cannot leave the terminal"))?;
    sethostname("lamina").map_err(Error::on("cannot name the host"))?;
    stack::loopback::bring_up()?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(Error::on("cannot make the mounts of the namespace private"))?;
    let Outside { layers, binds, devices } = outside;
    enter_workplace(&spec.bounds)?;
    let root = stack_layers(&layers, spec.variation.other_order)?;
    drop(layers);
    binds.iter().try_for_each(|bind| put(&root, bind))?;
    if spec.variation.build_in_memory {
        mount_tmpfs(&make_folder(&root, "/build")?, &spec.bounds.tmpfs_options("0755"))?;
    }
    fill_dev(&root, &devices, &spec.bounds)?;
    drop((binds, devices));
    mount_tmpfs(&make_folder(&root, "/tmp")?, &spec.bounds.tmpfs_options("1777"))?;
    mount_proc(&root, || shared_memory::bound(&root, spec.bounds.tmpfs))?;
    leave_old_root(&root)?;
    spec.bounds.bind()?;
    give_up_rights()?;
    lifeline.tie_to_parent()?;
    seccomp::apply(spec.policy)?;
    run_steps(spec)
}

/// Mounts a tmpfs on the working directory, which no name leads to, and goes there.
fn enter_workplace(bounds: &Bounds) -> Result<()> {
    let options = bounds.tmpfs_options("0755");
    let options: Vec<_> = options.split(',').filter_map(|option| option.split_once('=')).collect();
    let workplace = Filesystem {
        kind: "tmpfs",
        source: "lamina",
        options: &options,
        flags: &[],
        attributes: Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV,
    };
    let mounted = workplace.detached()?;
    mounted.attach(Path::new("."))?;
    fchdir(&mounted).map_err(Error::on("cannot enter the workplace of the sandbox"))
}

/// The overlay of all layers with a throwaway top, which lives in memory and goes with the namespace.
fn stack_layers(layers: &[DetachedMount], other_order: bool) -> Result<PathBuf> {
    let lower = |(index, layer): (usize, &DetachedMount)| {
        let place = PathBuf::from(format!("layers/{index}"));
        fs::create_dir_all(&place).map_err(Error::on(place.display()))?;
        layer.attach(&place)?;
        Ok(place)
    };
    let mut lower = layers.iter().enumerate().map(lower).collect::<Result<Vec<_>>>()?;
    let [upper, work, root] = ["upper", "work", "root"].map(PathBuf::from);
    for folder in [&upper, &work, &root] {
        fs::create_dir(folder).map_err(Error::on(folder.display()))?;
    }
    if other_order {
        let place = Path::new("names");
        other_order::names_below(&lower, place)?;
        lower.insert(0, other_order::names_in(place));
    }
    let overlay = Overlay {
        lower,
        upper: Some(Upper { upper, work }),
        userxattr: true,
        features: Features::KernelDefault,
    };
    // Some kernels are told the target by its absolute path, which leads through folders that this user may not search.
    let open = File::open(&root).map_err(Error::on("the root of the sandbox"))?;
    overlay.mount(Path::new(&format!("/proc/self/fd/{}", open.as_raw_fd())))?;
    stack::detached::restrict(&root, Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV)?;
    Ok(root)
}

/// Puts a thing of the machine to its place, after making something to mount it over.
fn put(root: &Path, placed: &Placed) -> Result<()> {
    let target = match placed.folder {
        true => make_folder(root, &placed.target.display().to_string())?,
        false => make_file(root, &placed.target)?,
    };
    Ok(placed.mount.attach(&target)?)
}

fn fill_dev(root: &Path, devices: &[Placed], bounds: &Bounds) -> Result<()> {
    mount_tmpfs(&make_folder(root, "/dev")?, &bounds::dev_options())?;
    devices.iter().try_for_each(|device| put(root, device))?;
    for (to, name) in DEVICE_LINKS {
        symlink(to, root.join("dev").join(name)).map_err(Error::on(name))?;
    }
    mount_tmpfs(&make_folder(root, "/dev/shm")?, &bounds.tmpfs_options("1777"))
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
            Err(errno) => return Err(Error::caused(failed, errno)),
        }
    }
    prctl::set_no_new_privs().map_err(Error::on(failed))?;
    let sets = rustix::thread::CapabilitySets {
        effective: KEPT_RIGHTS,
        permitted: KEPT_RIGHTS,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).map_err(Error::on(failed))
}

fn run_steps(spec: &Spec) -> Result<i32> {
    fs::create_dir_all(STEP_FOLDER).map_err(Error::on(STEP_FOLDER))?;
    for step in &spec.steps {
        let code = run_step(step, spec)?;
        if code != 0 {
            println!("lamina: step {} ended with status {code}", step.name);
            return Ok(code);
        }
    }
    Ok(0)
}

fn run_step(step: &Step, spec: &Spec) -> Result<i32> {
    println!("lamina: step {}", step.name);
    match &step.work {
        Work::Unpack { source, target } => Ok(unpack::run(source, target)),
        Work::Script { text, arguments, folder } => run_script(&step.name, (text, arguments), folder, spec),
    }
}

fn run_script(name: &str, (text, arguments): (&str, &[String]), folder: &Path, spec: &Spec) -> Result<i32> {
    fs::create_dir_all(folder).map_err(Error::on(folder.display()))?;
    let script = Path::new(STEP_FOLDER).join(name);
    fs::write(&script, text).map_err(Error::on(script.display()))?;
    let input = match spec.policy {
        Policy::Shell => Stdio::inherit(),
        // The sandbox's own `/dev/null`: that of the machine could be changed through its descriptor by whoever owns it.
        Policy::Build | Policy::Step => Stdio::null(),
    };
    let status = Command::new("/bin/sh")
        .arg("-eu")
        .arg(&script)
        .args(arguments)
        .env_clear()
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(input)
        .status()
        .map_err(|error| {
            Error::caused("/bin/sh", error).remedy("the bootstrap layer must have a shell at /bin/sh")
        })?;
    Ok(exit_code(status))
}

/// The shell's convention: 128 and the signal for a process that was killed.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
