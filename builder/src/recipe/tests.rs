use super::*;
use crate::choice::Selection;

const SMALL: &str = r#"recipe "hello" {
    version "1"
    description "Says hello"
    license "MIT"
    step "install" "true"
}
"#;

fn read(text: &str) -> Result<Recipe> {
    read_all(text).map(Versions::into_newest)
}

fn read_all(text: &str) -> Result<Versions> {
    decode::recipe("recipe.kdl", text.as_bytes(), Path::new("packages/hello"))
}

/// The small recipe with more nodes.
fn with(nodes: &str) -> String {
    SMALL.replace("    step", &format!("    {nodes}\n    step"))
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn a_small_recipe_has_defaults() {
    let recipe = read(SMALL).unwrap();
    assert_eq!(
        (recipe.name.as_str(), recipe.version.as_str(), recipe.bootstrap.as_str()),
        ("hello", "1", "bootstrap")
    );
    let steps = recipe.instructions(&Selection::default()).unwrap().steps;
    assert_eq!(steps.keys().collect::<Vec<_>>(), [&"install"]);
    let install = &steps["install"];
    assert_eq!(install.work, StepWork::Script("true".to_owned()));
    assert_eq!(install.arguments, [""; 0]);
    assert_eq!(install.span.as_ref().unwrap().to_string(), "recipe.kdl:5:5");
}

#[test]
fn the_example_of_the_documentation_is_read_as_it_says() {
    let document = include_str!("../../../docs/recipes.md");
    let example = document.split("```kdl\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let recipe = read(example).unwrap();
    assert_eq!(recipe.sources[0].item.mirrors.len(), 2);
    let features: Vec<(&str, &Choice)> =
        recipe.features.iter().map(|it| (it.name.as_str(), &it.default)).collect();
    let dynamic = Choice::Of(Name::parse("static").unwrap());
    assert_eq!(features, [("nls", &Choice::Off), ("variant", &dynamic)]);
    assert_eq!(recipe.features[0].description.as_deref(), Some("Translated messages"));
    assert_eq!(recipe.build_depends[1].when.to_string(), "nls");
    assert_eq!(recipe.metadata[0].to_string(), "metadata /usr/bin/hello mode=4755 user=0 group=0");
    let patch = "patch -p1 -i '/recipe/shorter-greeting.patch'\n".to_owned();
    let steps = recipe.instructions(&Selection::default()).unwrap().steps;
    assert_eq!(steps["patch"].work, StepWork::Script(patch));
    assert_eq!(steps["unpack"].work, StepWork::Unpack("hello-2.10.tar.gz".to_owned()));
}

#[test]
fn every_mistake_is_named_with_its_place_and_remedy() {
    let source = |rest: &str| format!("source \"a.tar\" sha256=\"{}\" size=1{rest}", "0".repeat(64));
    let cases = [
        (with("verison \"2\""), "recipe.kdl:5:5: error: unknown node 'verison'", "did you mean 'version'?"),
        (SMALL.replace("version \"1\"", "version 1"), "the number 1 where a string belongs", "double quotes"),
        (SMALL.replace("\"install\"", "\"instal\""), "there is no step 'instal'", "did you mean 'install'?"),
        (SMALL.replace("    step \"install\" \"true\"\n", ""), "has no step \"install\"", "add one"),
        (with("patch \"../x.patch\""), "not a path that stays below its folder", "below the recipe's folder"),
        (with("file \"/etc/passwd\""), "not a path that stays below its folder", "below the recipe's folder"),
        (with("file \"a\"\n    file \"a\""), "recipe.kdl:6:5: error: file 'a' stands twice", "line 5"),
        (
            with("metadata \"/x\" capabilities=\"cap_none=ep\""),
            "`cap_none` is no capability",
            "cap_net_raw=ep",
        ),
        (with("attribute \"security.selinux\""), "not the name of an attribute", "user.mime_type"),
        (with("attribute \"user.*\""), "not the name of an attribute", "user.mime_type"),
        (with("attribute \"user.overlay.opaque\""), "one of those on which overlayfs acts", "user.mime_type"),
        (with("attribute \"user.a\"\n    attribute \"user.a\""), "'user.a' stands twice", "line 5"),
        (with("metadata \"usr/x\" mode=\"0644\""), "does not begin with /", "absolute path"),
        (with("metadata \"/usr/../x\" mode=\"0644\""), "not a path that stays below", "absolute path"),
        (with("metadata \"/x\" mode=\"9\""), "'9' is not a mode", "octal"),
        (with("metadata \"/x\""), "changes nothing", "mode="),
        (with("feature \"TLS\" default=#true"), "'TLS' is not a plain name", "lower-case"),
        (
            with("feature \"a_b\" default=#true\n    feature \"a-b\" default=#true"),
            "recipe.kdl:6:5: error: the features 'a_b' and 'a-b' have one variable, FEATURE_A_B",
            "rename one",
        ),
        (
            with("feature \"c++\" default=#true\n    depends { zlib when=\"c+\"\n }"),
            "no feature 'c+'",
            "'c++'",
        ),
        (
            with("variant \"a\" \"b\" default=\"c\""),
            "the default 'c' is none of the variants",
            "did you mean 'a'?",
        ),
        (with("depends { zlib when=\"tls\"\n }"), "no feature 'tls'", "remove 'tls'"),
        (with("depends { zlib version=\"=>1.2\"\n }"), "is no version", ">="),
        (with("depends { zlib\n zlib\n }"), "depends 'zlib' stands twice", "keep one"),
        (with(&source("")), "has no mirror", "add a block"),
        (with(&source(" { mirror \"gopher:x\"\n }")), "gopher", ""),
        (with("debian"), "steps or 'debian', not both", "remove one"),
        (
            SMALL.replace("step \"install\" \"true\"", "file \"lock.kdl\"\n    debian"),
            "needs the file debian.kdl",
            "add: file \"debian.kdl\"",
        ),
        (with("homepage \"a\\nb\""), "control characters", "one line"),
    ];
    for (text, message, help) in cases {
        let refusal = refusal(&text);
        assert!(refusal.contains(message) && refusal.contains(help), "{text}\n{refusal}");
    }
}

#[test]
fn every_mistake_about_versions_and_choices_is_named_with_its_place_and_remedy() {
    let cases = [
        (
            with("arguments \"make\" \"V=1\""),
            "recipe.kdl:5:5: error: the recipe writes no step 'make'",
            "step \"make\"",
        ),
        (
            with("feature \"tls\" \"a\" \"b\" default=\"a\" { value \"a\" \"no\" \"HTTPS\"; }"),
            "recipe.kdl:5:41: error: 'HTTPS' is one word too many",
            "one description",
        ),
        (
            with("feature \"versoin\" \"a\" \"b\" default=\"a\""),
            "recipe.kdl:5:5: error: a feature with values cannot be called 'versoin'",
            "choose another name",
        ),
        (with("depends { zlib versoin=\"1\"\n }"), "'versoin' is no good name", "did you mean 'version'?"),
        (with("version \"1.0\""), "recipe.kdl:5:5: error: the version '1.0' stands twice", "line 2"),
        (with("version \"1..2\""), "'1..2' is no version (loose)", "version-scheme"),
        (with("version-scheme \"semvre\""), "there is no version scheme 'semvre'", "did you mean 'semver'?"),
        (with("versions \"<1\" { patch \"a\"; }"), "no version of this recipe is <1", "remove this block"),
        (with("versions \"<2\" { license \"MIT\"; }"), "unknown node 'license' in 'versions'", ""),
        (
            with("version \"2\"\n    versions \"<2\"\n    versions \">0.5,<=2\""),
            "recipe.kdl:7:5: error: '>0.5,<=2' and '<2' (line 6) overlap, and neither is nearer",
            "within",
        ),
    ];
    for (text, message, help) in cases {
        let refusal = refusal(&text);
        assert!(refusal.contains(message) && refusal.contains(help), "{text}\n{refusal}");
    }
}

#[test]
fn several_mistakes_are_reported_at_once() {
    let text =
        SMALL.replace("version \"1\"", "version \"a b\"").replace("license \"MIT\"", "licence \"MIT\"");
    let refusal = refusal(&text);
    assert_eq!(refusal.matches("error:").count(), 2, "{refusal}");
}

#[test]
fn hostile_texts_are_refused_without_a_crash() {
    for bytes in
        [vec![b'{'; 100_000_000], vec![0xff; 10], Vec::new(), vec![0; 1000], b"recipe {".repeat(5000)]
    {
        let outcome = decode::recipe("recipe.kdl", &bytes, Path::new("x"));
        assert!(outcome.unwrap_err().to_string().contains("recipe.kdl"), "{} bytes", bytes.len());
    }
}

/// A folder with one recipe, `hello`.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("hello")).unwrap();
    fs::write(folder.path().join("hello/recipe.kdl"), text).unwrap();
    folder
}

#[test]
fn files_must_lie_in_the_recipes_folder() {
    let folder = folder(&with("file \"a\"\n    file \"b\"\n    file \"c\""));
    let here = folder.path().join("hello");
    fs::write(folder.path().join("outside"), "x").unwrap();
    std::os::unix::fs::symlink("../outside", here.join("a")).unwrap();
    fs::write(here.join("real"), "x").unwrap();
    std::os::unix::fs::symlink("real", here.join("b")).unwrap();
    let recipe = Recipe::load(folder.path(), &Name::parse("hello").unwrap()).unwrap();
    let recipe = recipe.newest();
    let [a, b, c] = recipe.files.as_slice() else { panic!("three files") };
    let message = recipe.digest_of(&a.item).unwrap_err().to_string();
    assert!(
        message.contains("recipe.kdl:5:5: error:") && message.contains("leads out of the recipe's folder"),
        "{message}"
    );
    assert!(recipe.digest_of(&b.item).is_ok());
    let message = recipe.digest_of(&c.item).unwrap_err().to_string();
    assert!(
        message.contains("hello/c: No such file") && message.contains("help: put the file there"),
        "{message}"
    );
}

#[test]
fn a_recipe_is_a_text_file_below_the_folder_of_recipes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("packages/folder/recipe.kdl")).unwrap();
    fs::create_dir_all(path("packages/fifo")).unwrap();
    nix::unistd::mkfifo(&path("packages/fifo/recipe.kdl"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir_all(path("elsewhere")).unwrap();
    fs::write(path("elsewhere/recipe.kdl"), SMALL).unwrap();
    std::os::unix::fs::symlink("../elsewhere", path("packages/hello")).unwrap();
    let recipes = RecipeFolder::new(path("packages"));
    for (name, part) in [
        ("folder", "packages/folder/recipe.kdl: is not a regular file"),
        ("fifo", "packages/fifo/recipe.kdl: is not a regular file"),
        ("hello", "packages/hello/recipe.kdl: is a link that leads out of"),
    ] {
        let message = recipes.load(&Name::parse(name).unwrap()).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_missing_recipe_gets_the_nearest_name() {
    let folder = folder(SMALL);
    let recipes = RecipeFolder::new(folder.path().to_path_buf());
    let message = recipes.load(&Name::parse("helo").unwrap()).unwrap_err().to_string();
    assert!(
        message.contains("package helo: there is no") && message.ends_with("did you mean 'hello'?"),
        "{message}"
    );
}

#[test]
fn folder_and_recipe_have_one_name() {
    let folder = folder(&SMALL.replace("\"hello\"", "\"goodbye\""));
    let recipes = RecipeFolder::new(folder.path().to_path_buf());
    let message = recipes.load(&Name::parse("hello").unwrap()).unwrap_err().to_string();
    assert!(
        message.contains("recipe.kdl:1:1: error: the recipe is called 'goodbye', its folder 'hello'"),
        "{message}"
    );
}

#[test]
fn a_switch_may_have_a_name_like_version_or_when() {
    let text = with("depends { php session=#true then=#false\n }");
    let read = decode::recipe("recipe.kdl", text.as_bytes(), Path::new("a")).unwrap();
    assert_eq!(read.newest().depends[0].item.to_string(), "php +session -then");
}

#[test]
fn of_many_ranges_the_nearest_comes_last() {
    let versions: String = (1..150).map(|it| format!("    version \"{it}\" {{ file \"x\"; }}\n")).collect();
    let ranges: String =
        (1..150).map(|it| format!("    versions \"<{it}.5\" {{ file \"y{it}\"; }}\n")).collect();
    let text = SMALL.replace("    version \"1\"\n", &(versions + &ranges));
    let read = decode::recipe("recipe.kdl", text.as_bytes(), Path::new("a")).unwrap();
    let files: Vec<&str> = read.all()[146].files.iter().map(|it| it.item.path.as_str()).collect();
    assert_eq!((files[0], files[146], files[147]), ("y149", "y3", "x"));
}
