//! One id, one image: whoever builds, root or an ordinary user. The first test is a sample of all kinds of files, the other one builds every
//! package of this repository (`make tree`).

#[allow(dead_code, reason = "other tests use the rest")]
mod sandbox;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use builder::recipe::RecipeFolder;
use sandbox::{Way, Workshop};

/// Programs and files of every kind that builders have told apart.
const KINDS: &str = r#"
    metadata "/usr/bin/set-user" mode="4755"
    metadata "/usr/bin/set-group" mode="2755" group=33
    metadata "/usr/bin/capable" capabilities="cap_net_raw=ep"
    metadata "/var/secret" mode="0700" user=7 group=8
    attribute "user.kept"
    step "install" """
        mkdir -p "$OUT/usr/bin" "$OUT/usr/lib" "$OUT/var/secret" "$OUT/var/shared"
        cd "$OUT/usr/bin"
        echo 'int main(void) { return 0; }' > /build/main.c
        echo 'int answer(void) { return 42; }' > /build/answer.c
        gcc -o dynamic /build/main.c
        gcc -nostdlib -static -Wl,--entry=answer -o static /build/answer.c
        gcc -shared -fPIC -o ../lib/libanswer.so.1 /build/answer.c
        ln -s libanswer.so.1 ../lib/libanswer.so
        for name in set-user set-group capable; do cp dynamic $name; done
        ln dynamic another-name
        ln -s dynamic a-link
        chmod 4711 static
        chmod 0000 another-name
        chmod 1777 "$OUT/var/shared"
        echo secret > "$OUT/var/secret/file"
        chmod 0600 "$OUT/var/secret/file"
        mkfifo "$OUT/var/pipe"
        perl -e 'my $value = "1"; syscall(188, @ARGV, $value, 1, 0) == 0 or die $!' set-user user.kept
        """
"#;

/// What a package sees of that one below it, and copies of it with all that can be kept.
const SEES: &str = r#"
    build-depends { kinds; }
    metadata "/copies/var/secret" user=7
    step "install" """
        mkdir "$OUT/copies"
        (cd / && find usr/bin/set-user usr/bin/set-group usr/bin/capable usr/bin/static usr/bin/dynamic usr/lib/libanswer.so var \
            -exec stat -c '%a %u:%g %h %F %n' '{}' +) | sort > "$OUT/seen"
        cd /
        cp -a --parents usr/bin/set-user usr/bin/set-group usr/bin/static usr/bin/a-link usr/lib/libanswer.so             var/shared var/secret "$OUT/copies"
        id -u > "$OUT/who"
        """
"#;

/// Name and id of every build, and the digest and the bytes' hash of its image.
fn images(workshop: &Workshop) -> BTreeMap<(String, String), String> {
    let output = workshop.command(&["store", "list", "--json"]).output().unwrap();
    let records: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let image = |record: &serde_json::Value| {
        let digest = text(&record["digest"]);
        let file = workshop.store().join(format!("images/{}.sqfs", digest.replace("sha256:", "")));
        let (found, _) = builder::digest::digest_file(&file).unwrap();
        assert_eq!(found.to_string(), digest, "{record}");
        ((text(&record["name"]), text(&record["id"])), digest)
    };
    records.iter().map(image).collect()
}

/// Builds in each workshop at the same time. Says how long each took.
fn build(workshops: &[Workshop], arguments: &[&str]) -> Vec<Duration> {
    let one = |workshop: &Workshop| {
        let begun = Instant::now();
        workshop.succeed(arguments);
        begun.elapsed()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = workshops.iter().map(|workshop| scope.spawn(move || one(workshop))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn every_kind_of_file_is_the_same_whoever_builds() {
    // An ordinary user cannot become root: he builds twice as himself, with other jobs.
    let ways = Workshop::ways();
    let workshops: Vec<Workshop> = ways.iter().cycle().take(2).map(|way| Workshop::new(*way)).collect();
    for (workshop, jobs) in workshops.iter().zip(["1", "2"]) {
        workshop.recipe("kinds", KINDS);
        workshop.recipe("sees", SEES);
        build(std::slice::from_ref(workshop), &["build", "sees", "kinds", "--jobs", jobs]);
    }
    assert_eq!(images(&workshops[0]), images(&workshops[1]));
    assert_eq!(images(&workshops[0]).len(), 3);
    let seen = workshops[0].read_from_image("sees", "seen");
    // The rule of docs/recipes.md: all is 0:0, and what borrows the owner's rights is gone.
    for line in [
        "755 0:0 1 regular file usr/bin/set-user",
        "755 0:0 1 regular file usr/bin/set-group",
        "711 0:0 1 regular file usr/bin/static",
        "0 0:0 2 regular file usr/bin/dynamic",
        "777 0:0 1 symbolic link usr/lib/libanswer.so",
        "700 0:0 2 directory var/secret",
        "1777 0:0 2 directory var/shared",
    ] {
        assert!(seen.lines().any(|it| it == line), "{line} in\n{seen}");
    }
}

/// The sources of all packages in a folder that everybody can read: a cache for both.
fn sources(packages: &Path, folder: &Path) -> PathBuf {
    let cache = folder.join("cache");
    let output = Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args([
            "--store".as_ref(),
            cache.as_os_str(),
            "--tree".as_ref(),
            packages.parent().unwrap().as_os_str(),
        ])
        .args(["fetch", "--all"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    cache
}

#[test]
#[ignore = "builds every package twice, a quarter of an hour: `make tree`"]
fn every_package_of_the_tree_is_the_same_for_root_and_an_ordinary_user() {
    assert!(nix::unistd::geteuid().is_root(), "root alone can build as both: `make tree` asks for it");
    let packages = sandbox::repository().join("packages");
    let shared = tempfile::Builder::new().prefix("lamina-").tempdir().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let cache = sources(&packages, shared.path());
    let workshops = [Way::Myself, Way::Ordinary].map(|way| Workshop::of_tree(way, &packages, &cache));
    let took = build(&workshops, &["build", "--all"]);
    let (root, user) = (images(&workshops[0]), images(&workshops[1]));
    let names: Vec<&str> = root.keys().map(|(name, _)| name.as_str()).collect();
    let recipes = RecipeFolder::new(packages).all().unwrap().len();
    assert!(names.len() >= recipes, "{recipes} recipes, and {names:?}");
    for (package, digest) in &root {
        println!("{} {} {digest}", package.0, &package.1[..12]);
    }
    println!("{} packages; root {:?}, user {:?}, at the same time", root.len(), took[0], took[1]);
    assert_eq!(root, user);
}
