//! `ghostline complete` as a person runs it, against the scripted Ollama.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use super::support::ollama_double::{Answer, Config, OllamaDouble};

/// A folder with settings that lead to the double, and a workspace beside them.
struct Place {
    folder: tempfile::TempDir,
    double: OllamaDouble,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let double = OllamaDouble::start(Config::default()).await.unwrap();
        let settings = format!(
            "[backends.double]\nkind = \"ollama\"\nurls = [\"{}\"]\n\n\
             [roles.completion]\ncandidates = [\"double/qwen2.5-coder:1.5b\"]\n",
            double.url()
        );
        std::fs::write(folder.path().join("config.toml"), settings).unwrap();
        std::fs::create_dir_all(folder.path().join("work/.git")).unwrap();
        std::fs::create_dir_all(folder.path().join("work/src/deep")).unwrap();
        Self { folder, double }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join("work").join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// How often the model was asked about the file; warm-ups are about nothing.
    fn asked(&self) -> usize {
        let log = self.double.log();
        let prompts = log.generations().filter_map(|seen| seen.prompt());
        prompts.filter(|prompt| prompt.contains("fn a")).count()
    }

    /// Exit code, standard output, standard error.
    async fn complete(&self, file: &Path, line: u32, column: u32) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_ghostline"))
            .arg("complete")
            .arg(format!("{}:{line}:{column}", file.display()))
            .arg("--json")
            .env("GHOSTLINE_CONFIG", self.folder.path().join("config.toml"))
            .env("GHOSTLINE_CACHE_DIR", self.folder.path().join("cache"))
            .env("GHOSTLINE_LOG", "debug")
            .env_remove("OLLAMA_HOST")
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

#[tokio::test]
async fn the_files_name_tells_the_language_and_the_grammar_judges() {
    let place = Place::new().await;
    // No grammar lets prose stand in a Rust block; plain text would.
    for (name, text, answer, expected) in [
        (
            "src/a.rs",
            "fn a() {\n    \n}\n",
            "Here is what you asked for:",
            None,
        ),
        ("src/a.rs", "fn a() {\n    \n}\n", "b();\n}", Some("b();")),
        (
            "notes",
            "fn a() {\n    \n}\n",
            "Here is what you asked for:",
            Some("Here is what you asked for:"),
        ),
    ] {
        place.double.answer_with(move |_| Answer::text(answer));
        let file = place.write(name, text);
        let (code, out, err) = place.complete(&file, 2, 5).await;
        if let Some(expected) = expected {
            assert_eq!(code, 0, "{name}: {err}");
            let answer: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(answer["text"], expected, "{name}");
            assert_eq!(answer["model"], "qwen2.5-coder:1.5b");
        } else {
            assert_eq!((code, out.as_str()), (1, ""), "{name}: {err}");
            assert!(err.contains("nothing to add"), "{err}");
        }
    }
}

#[tokio::test]
async fn the_workspaces_ignore_files_count_from_any_folder_below() {
    let place = Place::new().await;
    place.double.answer_with(|_| Answer::text("b();\n"));
    let file = place.write("src/deep/a.rs", "fn a() {\n    \n}\n");
    assert_eq!(place.complete(&file, 2, 5).await.0, 0);
    for name in [".gitignore", ".ghostlineignore"] {
        let ignore = place.write(name, "deep/\n");
        let asked = place.asked();
        let (code, out, err) = place.complete(&file, 2, 5).await;
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(".ghostlineignore names it"), "{name}: {err}");
        assert_eq!(place.asked(), asked, "{name}");
        std::fs::remove_file(ignore).unwrap();
    }
    let (code, _, err) = place.complete(&place.write("id_rsa", "KEY=\n"), 1, 5).await;
    assert_eq!(code, 1);
    assert!(err.contains("its name says that it holds keys"), "{err}");
}

#[tokio::test]
async fn what_the_file_imports_stands_in_front_of_the_prompt_but_for_what_is_kept_out() {
    let place = Place::new().await;
    place.double.answer_with(|_| Answer::text("b();\n"));
    place.write(".ghostlineignore", "hidden.rs\n");
    place.write(
        "src/store.rs",
        "pub fn open_store(path: &Path) -> Store {\n    todo!()\n}\n",
    );
    place.write(
        "src/hidden.rs",
        "pub fn hidden_store(path: &Path) -> Store {\n    todo!()\n}\n",
    );
    // A window of it resembles the place of the cursor, and none of its names is in use there.
    let alike: String = ["first", "second", "third"]
        .map(|n| {
            format!(
                "fn {n}() {{\n    let reader = archive.reader(path);\n    \
                 let entry = reader.next_entry();\n    archive.store(entry, reader);\n}}\n\n"
            )
        })
        .concat();
    place.write("src/alike.rs", &alike);
    let file = place.write(
        "src/a.rs",
        "use crate::store::open_store;\nuse crate::hidden::hidden_store;\nuse crate::alike::{self};\n\n\
         fn a() {\n    let reader = archive.reader(path);\n    let entry = reader.next_entry();\n    \
         archive.store(open_store(entry), hidden_store);\n    \n}\n",
    );
    let (code, _, err) = place.complete(&file, 9, 5).await;
    assert_eq!(code, 0, "{err}");
    let log = place.double.log();
    let prompts = log.generations().filter_map(|seen| seen.prompt());
    let asked: Vec<_> = prompts.filter(|prompt| prompt.contains("fn a()")).collect();
    let [prompt] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert!(
        prompt.contains("pub fn open_store(path: &Path)"),
        "{prompt}"
    );
    assert!(prompt.contains("archive.store(entry, reader);"), "{prompt}");
    assert!(!prompt.contains("pub fn hidden_store"), "{prompt}");
}

#[tokio::test]
async fn logs_hold_no_text_of_the_document_or_the_model() {
    let place = Place::new().await;
    place
        .double
        .answer_with(|_| Answer::text("model_word();\n}"));
    let file = place.write("src/a.rs", "fn person_word() {\n    \n}\n");
    let (code, out, err) = place.complete(&file, 2, 5).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("model_word"));
    assert!(!err.contains("person_word"), "{err}");
    assert!(!err.contains("model_word"), "{err}");
}
