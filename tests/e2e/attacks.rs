//! Cloned repositories that want text sent elsewhere, against the program itself. A listening socket
//! must see no connection.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::ollama_double::{Config, OllamaDouble};
use crate::support::program::Home;

/// Where an attacker would like to be called.
struct Trap(TcpListener);

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a switch");
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    /// Connections wait in the listener's queue until they are accepted: an empty queue means none.
    #[track_caller]
    fn saw_nobody(&self, attack: &str) {
        match self.0.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{attack}: somebody called: {other:?}"),
        }
    }
}

/// A name, and the files of the clone; `{trap}` stands for the trap's address.
const ATTACKS: &[(&str, &[(&str, &str)])] = &[
    ("a host in .env", &[(".env", "OLLAMA_HOST={trap}\n")]),
    (
        "a proxy in .env",
        &[(
            ".env",
            "HTTP_PROXY={trap}\nhttp_proxy={trap}\nALL_PROXY={trap}\nHTTPS_PROXY={trap}\n",
        )],
    ),
    (
        "a user file in .env",
        &[
            (
                ".env",
                "GHOSTLINE_CONFIG={folder}/evil.toml\nHF_ENDPOINT={trap}\n",
            ),
            (
                "evil.toml",
                "[backends.ollama]\nkind = \"ollama\"\nurls = [\"{trap}\"]\n",
            ),
        ],
    ),
    (
        "an address in the settings",
        &[(
            ".ghostline.toml",
            "[backends.ollama]\nurls = [\"{trap}\"]\n",
        )],
    ),
    (
        "a backend of its own",
        &[(
            ".ghostline.toml",
            "[backends.evil]\nkind = \"ollama\"\nurls = [\"{trap}\"]\napi_key_env = \"HOME\"\n\
             [roles.completion]\ncandidates = [\"evil/qwen2.5-coder:1.5b\"]\n",
        )],
    ),
    (
        "trust in itself",
        &[(
            ".ghostline.toml",
            "[trust]\nfolders = [\"/\"]\n[backends.ollama]\nurls = [\"{trap}\"]\n",
        )],
    ),
    (
        "a model that is a file or an address",
        &[(
            ".ghostline.toml",
            "[roles.completion]\ncandidates = [\"embedded/{folder}/evil.gguf\", \
             \"{trap}/evil:latest\", \"../evil.gguf\", \"qwen3-coder:480b-cloud\"]\n",
        )],
    ),
];

/// A home whose workspace is the attacker's.
fn clone(files: &[(&str, &str)], trap: &Trap, ollama: &str) -> Home {
    let home = Home::with_ollama(ollama);
    let folder = home.workspace();
    for (name, text) in files {
        let text = text
            .replace("{trap}", &format!("http://127.0.0.1:{}", trap.port()))
            .replace("{folder}", &folder.display().to_string());
        fs::write(folder.join(name), text).expect("a file");
    }
    fs::write(folder.join("secret.rs"), "let secret = \n").expect("a file");
    home
}

/// Completes in the clone through the language server, as an editor would; whether a text came.
async fn complete(home: &Home) -> bool {
    let (mut child, mut client) = home.serve();
    client
        .initialize(home.initialize())
        .await
        .expect("a server");
    client.settled_status().await.expect("a status");
    let uri = url::Url::from_file_path(home.workspace().join("secret.rs"))
        .expect("a path")
        .to_string();
    let document =
        json!({"uri": uri, "languageId": "rust", "version": 1, "text": "let secret = \n"});
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await
        .expect("a pipe");
    let params = json!({
        "textDocument": {"uri": uri}, "position": {"line": 0, "character": 13},
        "context": {"triggerKind": 1},
    });
    let items = client
        .request("textDocument/inlineCompletion", params)
        .await
        .expect("an answer");
    client.shut_down().await.expect("a pipe");
    drop(client);
    child.wait().await.expect("an end");
    items.as_array().is_some_and(|items| !items.is_empty())
}

#[tokio::test]
async fn a_clone_sends_nothing_anywhere() {
    for (attack, files) in ATTACKS {
        let trap = Trap::new();
        let double = OllamaDouble::start(Config::default())
            .await
            .expect("a free port");
        let home = clone(files, &trap, &double.url());
        // A workspace may choose among models, and may so choose one that nobody has.
        let chooses = *attack == "a backend of its own";
        assert_eq!(
            complete(&home).await,
            !chooses,
            "{attack}: the person's own Ollama serves"
        );
        for arguments in [
            &["models", "list"][..],
            &["doctor", "--json"],
            &["complete", "secret.rs:1:14"],
        ] {
            home.run(arguments).await;
        }
        trap.saw_nobody(attack);
        let prompts = double.log();
        let served = prompts
            .requests
            .iter()
            .any(|request| request.prompt().is_some());
        assert_eq!(
            served, !chooses,
            "{attack}: the text went to the person's own Ollama"
        );
    }
}

#[tokio::test]
async fn a_clone_is_no_way_out_when_nothing_else_serves() {
    // An address of the person's own that is on another machine and does not exist: a proxy from the
    // clone would be asked for it.
    for ollama in ["http://127.0.0.1:1", "http://gpu-box.invalid:11434"] {
        for (attack, files) in ATTACKS {
            let trap = Trap::new();
            let home = clone(files, &trap, ollama);
            let run = home.run(&["complete", "secret.rs:1:14"]).await;
            assert_ne!(run.code, 0, "{attack}: {run:?}");
            trap.saw_nobody(attack);
        }
    }
}

/// The trap itself works: the same files in a folder that the person trusts are obeyed.
#[tokio::test]
async fn a_trusted_folder_may_say_where() {
    let double = OllamaDouble::start(Config::default())
        .await
        .expect("a free port");
    let home = Home::with_ollama("http://127.0.0.1:1");
    let folder = home.workspace().canonicalize().expect("a folder");
    let text = fs::read_to_string(home.user_file()).expect("a file");
    let trust = format!(
        "{text}[trust]\nfolders = [{:?}]\n",
        folder.display().to_string()
    );
    fs::write(home.user_file(), trust).expect("a file");
    fs::write(
        folder.join(".env"),
        format!("OLLAMA_HOST={}\n", double.url()),
    )
    .expect("a file");
    let listing: Value = home.run(&["models", "list", "--json"]).await.json();
    let ollama = listing["backends"].as_array().expect("backends").iter();
    let answers = ollama.filter(|backend| backend["name"] == "ollama");
    assert!(
        answers.clone().all(|backend| backend["answers"] == true),
        "{listing}"
    );
}
