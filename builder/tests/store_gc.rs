//! What `lamina store gc` takes for needed, and what it removes.

mod program;

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use builder::recipe::RecipeFolder;
use profiles::Name;
use program::{json, lamina, told};

/// A store whose files were written three days ago.
struct OldStore {
    folder: tempfile::TempDir,
    tree: String,
}

impl OldStore {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        program::make_store(folder.path());
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
        OldStore { folder, tree }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("store").join(inside)
    }

    fn put(&self, inside: &str, text: &str) {
        fs::create_dir_all(self.path(inside).parent().unwrap()).unwrap();
        fs::write(self.path(inside), text).unwrap();
        self.age(inside);
    }

    fn age(&self, inside: &str) {
        let old = SystemTime::now() - Duration::from_secs(3 * 86_400);
        File::open(self.path(inside)).unwrap().set_times(FileTimes::new().set_modified(old)).unwrap();
    }

    /// A generation with an image of its own and no build.
    fn generation(&self, number: u64) -> String {
        let image = format!("images/{}.sqfs", format!("{number:02x}").repeat(32));
        self.put(&image, "an image");
        let text = format!(
            "profile \"web\" format=1 {{\n    image \"own\" version=\"1\" digest=\"sha256:{}\" size=8\n    root writable=\"no\"\n    verify \
             \"digest\"\n    init \"/init\"\n}}\n",
            format!("{number:02x}").repeat(32)
        );
        self.put(&format!("profiles/web/{number}.kdl"), &text);
        image
    }

    fn output(&self, arguments: &[&str]) -> std::process::Output {
        lamina(self.folder.path(), &[&["--tree", self.tree.as_str(), "store"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    }
}

#[test]
fn what_a_generation_or_the_tree_needs_stays_and_the_rest_goes() {
    let store = OldStore::new();
    let images: Vec<String> = (1..=5).map(|number| store.generation(number)).collect();
    store.put("profiles/web/1.keep", "");
    store.put("profiles/web/2.kdl.minisig", "a signature");
    let recipes = RecipeFolder::new(Path::new(&store.tree).join("packages"));
    let busybox = recipes.load(&Name::parse("busybox").unwrap()).unwrap();
    let source = format!("sources/{}", busybox.sources[0].item.sha256.hex());
    let gone = "ee".repeat(32);
    store.put(&source, "a source");
    let unneeded = [
        format!("sources/{gone}"),
        format!("builds/{gone}.kdl"),
        format!("ids/{gone}"),
        format!("logs/{gone}.log"),
        format!("stacks/{gone}"),
    ];
    unneeded.iter().for_each(|path| store.put(path, "nobody needs it"));
    store.put(&format!("trees/{gone}/etc/motd"), "of an image that is gone");
    store.age(&format!("trees/{gone}"));
    let young = format!("images/{}.sqfs", "dd".repeat(32));
    fs::write(store.path(&young), "just written").unwrap();

    let plan = store.run(&["gc", "--dry-run"]);
    for (path, words) in [
        ("profiles/web/5.kdl", "stays: the newest generation"),
        ("profiles/web/3.kdl", "stays: one of the newest 3 generations"),
        ("profiles/web/2.kdl", "goes: no generation that stays and no build of the tree needs it"),
        ("profiles/web/2.kdl.minisig", "goes: "),
        ("profiles/web/1.kdl", "stays: it is kept"),
        (images[4].as_str(), "stays: profile web/5 stacks it"),
        (images[1].as_str(), "goes: "),
        (source.as_str(), "stays: the tree builds busybox "),
        (young.as_str(), "stays: is younger than 24 hours"),
    ] {
        let line = format!("{path} {words}");
        assert!(plan.lines().any(|it| it.starts_with(&line)), "{line}\n{plan}");
    }
    assert!(store.path(&images[1]).exists(), "--dry-run removed");
    let why = store.run(&["list", "--why", &images[4]]);
    assert_eq!(why, format!("{} stays: profile web/5 stacks it\n", images[4]));
    let absolute = fs::canonicalize(store.path(&source)).unwrap().display().to_string();
    assert!(store.run(&["list", "--why", &absolute]).contains("the tree builds busybox"));

    store.run(&["gc"]);
    let is_there = |path: &String| store.path(path).exists();
    assert_eq!(images.iter().map(is_there).collect::<Vec<_>>(), [true, false, true, true, true]);
    assert!(is_there(&source) && is_there(&young));
    assert!(!unneeded.iter().any(is_there) && !store.path("profiles/web/2.kdl").exists());
    assert!(!store.path(&format!("trees/{gone}")).exists());
    assert!(store.run(&["gc"]).contains("removed 0 files"));
    store.run(&["gc", "--grace", "0", "--keep", "1"]);
    assert_eq!(images.iter().map(is_there).collect::<Vec<_>>(), [true, false, false, false, true]);
    assert!(!is_there(&young));
}

#[test]
fn what_a_young_generation_needs_stays_with_it() {
    let store = OldStore::new();
    let images: Vec<String> = (1..=5).map(|number| store.generation(number)).collect();
    let young = store.path("profiles/web/1.kdl");
    File::open(&young).unwrap().set_times(FileTimes::new().set_modified(SystemTime::now())).unwrap();
    store.run(&["gc"]);
    assert!(young.exists() && store.path(&images[0]).exists());
    assert!(!store.path("profiles/web/2.kdl").exists() && !store.path(&images[1]).exists());
}

#[test]
fn nothing_outside_of_the_store_is_removed() {
    let store = OldStore::new();
    store.generation(1);
    let name = "ee".repeat(32);
    for folder in ["trees", "images", "sources"] {
        let outside = store.folder.path().join("outside").join(&name);
        fs::create_dir_all(&outside).unwrap();
        let _ = fs::rename(store.path(folder), store.path(&format!("{folder}.was")));
        std::os::unix::fs::symlink("../outside", store.path(folder)).unwrap();
        let output = store.output(&["gc", "--grace", "0"]);
        let said = told(&output);
        assert!(!output.status.success() && said.contains("is a link") && said.contains("help: "), "{said}");
        assert!(outside.exists());
        fs::remove_file(store.path(folder)).unwrap();
        let _ = fs::rename(store.path(&format!("{folder}.was")), store.path(folder));
    }
}

/// A folder that cannot be listed is none that is empty. A link is such a folder for everybody, root too.
#[test]
fn nothing_goes_while_the_generations_of_a_profile_are_not_known() {
    let store = OldStore::new();
    let images: Vec<String> = (1..=5).map(|number| store.generation(number)).collect();
    fs::create_dir_all(store.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", store.path("profiles/mail")).unwrap();
    let output = store.output(&["gc", "--keep", "1", "--grace", "0"]);
    let said = told(&output);
    assert!(!output.status.success() && said.contains("profiles/mail cannot be listed: "), "{said}");
    assert!(images.iter().all(|image| store.path(image).exists()), "{said}");
}

#[test]
fn without_a_tree_or_with_a_damaged_generation_nothing_goes() {
    let store = OldStore::new();
    let image = store.generation(1);
    let output = lamina(store.folder.path(), &["store", "gc", "--grace", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("--tree DIR"), "{}", told(&output));
    store.put("profiles/web/2.kdl", "profile");
    let output = lamina(store.folder.path(), &["--tree", &store.tree, "store", "gc", "--grace", "0"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(store.path(&image).exists());
}

#[test]
fn two_at_once_and_a_kill_remove_nothing_that_is_needed() {
    let store = OldStore::new();
    let images: Vec<String> = (1..=60).map(|number| store.generation(number)).collect();
    let start = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_lamina"))
            .args(["--tree", &store.tree, "store", "gc"])
            .env("LAMINA_STORE", store.path(""))
            .spawn()
            .unwrap()
    };
    let mut killed = start();
    std::thread::sleep(Duration::from_millis(150));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut both = [start(), start()];
    assert!(both.iter_mut().all(|it| it.wait().unwrap().success()));
    let there: Vec<&String> = images.iter().filter(|it| store.path(it).exists()).collect();
    assert_eq!(there, [&images[57], &images[58], &images[59]]);
    let verified = json(store.folder.path(), &["--tree", &store.tree, "store", "gc", "--json"]);
    assert_eq!(verified["bytes"], 0);
}

#[test]
fn a_file_is_asked_about_in_any_words() {
    let store = OldStore::new();
    let image = store.generation(1);
    let tree = format!("trees/{}", "ee".repeat(32));
    store.put(&format!("{tree}/etc/motd"), "of an image that is gone");
    store.age(&tree);
    let refused = |word: &str| {
        let output = store.output(&["list", "--why", word]);
        assert_eq!(output.status.code(), Some(1), "{word:?}: {}", told(&output));
        told(&output)
    };
    for word in ["", " ", "\n"] {
        let said = refused(word);
        assert!(
            said.contains("--why: names no file") && said.contains("help: give a path"),
            "{word:?}: {said}"
        );
    }
    for word in [".", "images", "./images/", "profiles/web", "profiles"] {
        let said = refused(word);
        assert!(said.contains(&format!("'{word}': has ")) && said.contains("of its own"), "{word:?}: {said}");
    }
    for word in ["nothing", "/", "..", "/etc/passwd", "images/../images", "images/nothing.sqfs", "web/1", "-"]
    {
        let said = refused(word);
        assert!(said.contains(&format!("'{word}': is no file of the store")), "{word:?}: {said}");
    }
    let why = format!("{image} stays: profile web/1 stacks it\n");
    let here = format!("store/{image}");
    let real = fs::canonicalize(store.path(&image)).unwrap().display().to_string();
    for word in [
        image.as_str(),
        &format!("./{image}"),
        &image.replace('/', "//"),
        &here,
        &format!("./store/../{here}"),
        &real,
    ] {
        assert_eq!(store.run(&["list", "--why", word]), why, "{word}");
    }
    let part = store.run(&["list", "--why", &format!("{tree}/etc/motd")]);
    assert!(part.starts_with(&format!("{tree} goes: ")), "{part}");
}
