//! What somebody does on the first day with a destination, by the pages under docs alone: add it, try it, break its token,
//! read what to do, mend it, and see what waited arrive.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use crosstally_testkit::client;
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::process::{Program, Running};

use crate::commands::{program, wait_for_events};

on_both! {
    /// The README's own configuration and its last command.
    the_readmes_walk_ends_with_a_green_preflight => readme;
    /// Meta, which wants a code for a test.
    a_new_user_connects_meta => meta;
    /// TikTok, which answers 200 to everything.
    a_new_user_connects_tiktok => tiktok;
    /// Reddit, whose test code has another name.
    a_new_user_connects_reddit => reddit;
    /// A token that is written anew into its file, with nothing else done: what waited arrives.
    a_token_in_a_file_is_read_again => in_a_file;
}

async fn meta(kind: Kind) -> Result<()> {
    walk(kind, "meta", "TEST12345").await
}

async fn tiktok(kind: Kind) -> Result<()> {
    walk(kind, "tiktok", "TEST12345").await
}

async fn reddit(kind: Kind) -> Result<()> {
    walk(kind, "reddit", "t2_12345").await
}

async fn readme(kind: Kind) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    let (_, terminals) = readme.split_once("**2. The server.**").context("the second terminal")?;
    let (second, rest) = terminals.split_once("**3. You.**").context("the third terminal")?;
    let (third, _) = rest.split_once("\n## ").context("the walk's end")?;
    let database = Database::fresh(kind).await?;
    let sandbox = program().sandbox(database.directory()).await?;
    let server = program().with_environment(exports(second));
    let server = server.serve(&database.flags(), database.directory()).await?;
    let desk = Desk { database, program: program().with_environment(exports(third)) };
    let example = std::fs::read_to_string(root.join("docs/examples/quickstart.toml"))?;
    let shop = format!("{}/shop/summer?tracker={}&", sandbox.address, server.address.port());
    let example = example
        .replace("127.0.0.1:9100/shop/summer?", &shop)
        .replace("127.0.0.1:9100", &sandbox.address.to_string());
    desk.apply(&example)?;
    // A running server takes it up within two seconds.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    let (_, command) = third.split_once("crosstally preflight run").context("the command to copy")?;
    let (flags, rest) = command.split_once("\\\n").context("its flags")?;
    let postback = rest.split('\'').nth(1).context("its postback")?;
    let postback = postback.replace("127.0.0.1:8080", &server.address.to_string());
    let base = format!("http://{}", server.address);
    let words: Vec<&str> = ["preflight", "run"].into_iter().chain(flags.split_whitespace()).collect();
    let said = desk.done(&[&words[..], &[&postback, "--base", &base]].concat(), "")?;
    let hops = ["link", "lander", "browser", "postback", "ledger", "signal", "destination"];
    for hop in hops {
        let line = said.lines().find(|line| line.contains(hop)).with_context(|| format!("{hop}: {said}"))?;
        ensure!(line.contains("the same") && line.contains("24/24"), "{hop}: {said}");
    }
    Ok(())
}

/// What a terminal has set when it has run these lines, but for where it finds programs.
fn exports(lines: &str) -> Vec<(String, String)> {
    let settings = lines.lines().filter_map(|line| line.strip_prefix("export "));
    let named = settings.flat_map(str::split_whitespace).filter_map(|setting| setting.split_once('='));
    named
        .filter(|(name, _)| *name != "PATH")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

async fn in_a_file(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let sandbox = program().sandbox(database.directory()).await?;
    let desk = Desk { database, program: program() };
    let file = desk.database.directory().join("token");
    std::fs::write(&file, "expired-token-1\n")?;
    let named = format!("{{ file = \"{}\" }}", file.display());
    desk.apply(&document("tiktok", &sandbox, "in-a-file")?.replace("\"in-a-file\"", &named))?;
    let server = program().serve(&desk.database.flags(), desk.database.directory()).await?;
    sale(&server, 1).await?;
    desk.until(&["destinations", "list"], "dest_auth").await?;
    std::fs::write(&file, "good-token-1\n")?;
    let arrived = wait_for_events(sandbox.address, 1).await?;
    ensure!(arrived.len() == 1, "{arrived:?}");
    desk.until(&["destinations", "list"], "active").await?;
    server.stop()?;
    sandbox.stop()?;
    Ok(())
}

/// The section as the page of settings shows it, sent to a sandbox, with this token.
fn document(kind: &str, sandbox: &Running, token: &str) -> Result<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = std::fs::read_to_string(docs.join("destinations").join(format!("{kind}.md")))?;
    let (_, section) = page.split_once("```toml\n").context("the page has a section to copy")?;
    let (section, _) = section.split_once("```").context("its end")?;
    let section = section.replace("{ env = \"TOKEN\" }", &format!("\"{token}\""));
    ensure!(section.contains(token), "no token to set: {section}");
    let example = std::fs::read_to_string(docs.join("examples/quickstart.toml"))?;
    let (before, rest) = example.split_once("[[destination]]").context("a destination")?;
    let (_, goal) = rest.split_once("[[goal]]").context("a goal")?;
    let before = before.replace("auth = { token = { env = \"ACME_TOKEN\" } }", "");
    Ok(format!(
        "{before}{section}endpoint = \"http://{}\"\nallow_private = true\n\n[[goal]]{}",
        sandbox.address,
        goal.replace("meta-main", "ads")
    ))
}

struct Desk {
    database: Database,
    program: Program,
}

impl Desk {
    fn run(&self, words: &[&str], input: &str) -> Result<(Option<i32>, String)> {
        let flags = self.database.flags();
        let output: Output = self.program.run_with(input, words, &flags, self.database.directory())?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr))))
    }

    fn done(&self, words: &[&str], input: &str) -> Result<String> {
        let (code, said) = self.run(words, input)?;
        ensure!(code == Some(0), "{words:?}: {code:?}\n{said}");
        Ok(said)
    }

    fn apply(&self, document: &str) -> Result<()> {
        let file = self.database.directory().join("crosstally-config.toml");
        std::fs::write(&file, document)?;
        self.done(&["config", "apply", &file.display().to_string()], "").map(drop)
    }

    /// Waits, by the real clock, until a command says something.
    async fn until(&self, words: &[&str], wanted: &str) -> Result<String> {
        let mut said = String::new();
        for _ in 0..200 {
            said = self.run(words, "")?.1;
            if said.contains(wanted) {
                return Ok(said);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        anyhow::bail!("{words:?} never said {wanted}:\n{said}")
    }
}

/// The event that the page gives to copy.
fn event() -> Result<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/trying.md");
    let page = std::fs::read_to_string(page)?;
    let (_, event) = page.split_once("<<'END'\n").context("an event to copy")?;
    Ok(event.split_once("END").context("its end")?.0.to_owned())
}

async fn sale(server: &Running, number: u32) -> Result<()> {
    let request = http::Request::get("/c/summer?fbclid=IwAR0&ttclid=tt-1&rdt_cid=rd-1")
        .header("user-agent", "Mozilla/5.0")
        .body(http_body_util::Full::new(bytes::Bytes::new()))?;
    let answer = client::send(server.address, request).await?;
    let to = answer.header("location").context("a redirect")?;
    let click = to.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("a click id")?;
    let path = format!(
        "/postback/acme?click_id={click}&transaction_id=T{number}&status=approved&payout=12.34&currency=USD"
    );
    let answer = client::get(server.address, &path).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    Ok(())
}

async fn walk(kind: Kind, platform: &str, code: &str) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let sandbox = program().sandbox(database.directory()).await?;
    let desk = Desk { database, program: program() };
    let good = document(platform, &sandbox, "good-token-1")?;
    desk.apply(&good)?;
    let server = program().serve(&desk.database.flags(), desk.database.directory()).await?;
    // Tried before anything real is sent.
    desk.done(&["capi", "validate", "--destination", "ads"], &event()?)?;
    let (without, said) = desk.run(&["capi", "send-test", "--destination", "ads"], &event()?)?;
    ensure!(without == Some(6) && said.contains("--code"), "{said}");
    let said = desk.done(&["capi", "send-test", "--destination", "ads", "--code", code], &event()?)?;
    ensure!(said.contains("taken: ") && !said.contains("good-token-1"), "{said}");
    sale(&server, 1).await?;
    wait_for_events(sandbox.address, 2).await?;
    // The token breaks: what happens meanwhile waits, and one line says what to do.
    desk.apply(&document(platform, &sandbox, "expired-token-1")?)?;
    // A running server takes it up within two seconds.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    sale(&server, 2).await?;
    let said = desk.until(&["destinations", "list"], "dest_auth").await?;
    let line = said.lines().find(|line| line.starts_with("ads")).context("a line")?;
    ensure!(
        line.contains("paused") && line.contains("Set a new token; sending goes on by itself."),
        "{line}"
    );
    ensure!(!said.contains("expired-token-1"), "{said}");
    let said = desk.done(&["deliveries", "list", "--state", "held"], "")?;
    ensure!(said.contains("dest_auth"), "{said}");
    sale(&server, 3).await?;
    let (code_of_test, said) =
        desk.run(&["capi", "send-test", "--destination", "ads", "--code", code], &event()?)?;
    ensure!(code_of_test == Some(6) && said.contains("fix: Set a new token"), "{said}");
    // Mended: what waited flows by itself, each once.
    desk.apply(&document(platform, &sandbox, "good-token-2")?)?;
    let arrived = wait_for_events(sandbox.address, 4).await?;
    ensure!(arrived.len() == 4, "{arrived:?}");
    desk.until(&["deliveries", "days", "--days", "1", "--json"], "\"delivered\": 3").await?;
    let said = desk.done(&["destinations", "list"], "")?;
    ensure!(said.contains("active"), "{said}");
    server.stop()?;
    sandbox.stop()?;
    Ok(())
}
