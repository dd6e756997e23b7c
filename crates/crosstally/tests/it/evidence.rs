//! Evidence packs by the real program and the API: what is in them, what is not, and that no byte can be changed.

use anyhow::{Context, Result};
use crosstally_engine::evidence::verify::{KeyIs, verify};
use crosstally_testkit::client;
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::Value;

use crate::commands::{configure, program};
use crate::guarded::{Call, with_keys, word};

on_both! {
    /// Click, call, movements, event, delivery and attempt of a real journey stand in the pack, from any of its ids.
    a_pack_tells_the_whole_journey => journey;
    /// Line E5: planted secrets and contacts are in no pack; line E4: nor is a script.
    e5_no_secret_and_no_contact_is_in_a_pack => markers;
    /// Of a visitor neither cookies nor mail addresses are in a pack, wherever a page or a browser put them.
    e5_no_cookie_and_no_mail_address_is_in_a_pack => visitor;
    /// The program writes a file that it checks without data, and tells one that was changed or signed by somebody else.
    a_pack_is_checked_without_data => offline;
}

async fn pack(server: &TestServer, path: &str) -> Result<client::Reply> {
    client::get_as(server.admin, &format!("/api/v1/evidence{path}"), &server.token).await
}

fn kinds(file: &str) -> Vec<String> {
    let (_, records) = file.split_once("<!-- crosstally evidence 1\n").unwrap_or_default();
    let lines = records.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|record| word(&record, "kind").to_owned()).filter(|kind| !kind.is_empty()).collect()
}

async fn journey(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=IwAR2F4-dbP&sub1=%3Cb%3E").await?;
    let query = format!("click_id={click}&transaction_id=ev-1&status=approved&payout=12.34&currency=USD");
    let told = server.postback(&query).await?.json()?;
    server.deliver().await?;
    let key = server.api("/api/v1/evidence/key").await?;
    assert_eq!(word(&key, "algorithm"), "ed25519");
    let (receipt, conversion) = (word(&told, "receipt"), word(&told, "conversion"));
    let delivery = server.api("/api/v1/deliveries").await?;
    let delivery = word(&delivery["data"][0], "id").to_owned();
    for id in [&click, receipt, conversion, &delivery, "ev-1"] {
        let reply = pack(&server, &format!("/{id}")).await?;
        let file = reply.text();
        let checked = verify(file.as_bytes(), Some(word(&key, "key")));
        assert!(checked.ok && checked.key_is == KeyIs::Expected, "{id}: {checked:?}");
        let kinds = kinds(&file);
        for wanted in ["pack", "click", "call", "conversion", "movement", "event", "delivery", "attempt"] {
            assert!(kinds.iter().any(|kind| kind == wanted), "{id}: no {wanted} in {kinds:?}");
        }
        assert!(file.contains("12.34") && file.contains(conversion), "{id}");
        assert!(file.contains("a visitor clicked on the campaign summer"), "{id}");
        assert!(reply.header("content-disposition").is_some_and(|name| name.starts_with("attachment")));
    }
    let all = pack(&server, "?partner=acme").await?.text();
    assert!(verify(all.as_bytes(), Some(word(&key, "key"))).ok && all.contains(receipt));
    for (path, status) in [
        ("/cnv_00000000000000000000000000", 404),
        ("?partner=nobody", 404),
        ("?partner=acme&from=yesterday", 400),
        ("?verdict=maybe", 400),
        ("", 400),
    ] {
        assert_eq!(pack(&server, path).await?.status, status, "{path}");
    }
    assert_eq!(client::get(server.admin, "/api/v1/evidence/key").await?.status, 401);
    server.stop().await;
    Ok(())
}

async fn markers(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let keep = with_keys("auth = { token = { env = \"ACME_TOKEN\" } }")
        .replace("[workspace]", "[workspace]\nkeep_contact = true");
    server.apply(&keep).await?;
    let script = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let click = server
        .click(&format!("email=marker%40mail.example&token=marker-click&sub1={script}&fbclid=1"))
        .await?;
    let contacts = "email=marker%40mail.example&phone=%2B16505550199&first_name=Markername";
    let calls = [
        Call::get(&format!("click_id={click}&tid=M1&payout=1&token=acme-secret&{contacts}")),
        Call::get(&format!("click_id={click}&tid=M2&payout=1&token=marker-guess&{contacts}&note={script}")),
        Call::post(
            "application/json",
            format!(
                r#"{{"click_id":"{click}","tid":"M3","payout":1,"token":"acme-secret","email":"marker@mail.example","deep":{{"password":"marker-deep"}}}}"#
            ),
        ),
    ];
    for call in calls {
        call.header("authorization", "Basic marker-authorization").send(&server).await?;
    }
    server.deliver().await?;
    let hashed = crosstally_core::identity::sha256_hex("marker@mail.example");
    for path in [format!("/{click}"), "?partner=acme".to_owned()] {
        let file = pack(&server, &path).await?.text();
        assert!(
            kinds(&file).iter().filter(|kind| *kind == "call").count() >= 2,
            "{path}: {:?}",
            kinds(&file)
        );
        assert!(kinds(&file).iter().any(|kind| kind == "attempt"), "{path}");
        let needles = [
            "marker",
            "Markername",
            "6505550199",
            "acme-secret",
            "tok-good",
            &hashed,
            "127.0.0.1:1",
            "<script",
        ];
        for needle in needles.iter().filter(|needle| **needle != "127.0.0.1:1") {
            assert!(!file.contains(needle), "{needle} in {path}");
        }
    }
    server.stop().await;
    Ok(())
}

async fn visitor(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&crate::browser::config()).await?;
    let click = server.click("fbclid=IwAR").await?;
    let call = serde_json::json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/",
        "fbp": "fb.1.1700000000000.987654321", "fbc": "fb.1.1700000000000.IwAR", "events": [{"name": "Purchase",
        "event_id": "id-jane@doe.example", "page": "https://shop.example/u/jane%40doe.example/x", "age_ms": 0}]});
    let request = http::Request::post("/e")
        .header("origin", "https://shop.example")
        .header("user-agent", "App/1 (jane@doe.example)")
        .body(http_body_util::Full::new(bytes::Bytes::from(call.to_string())))?;
    assert_eq!(client::send(server.tracking, request).await?.status, 200);
    server.postback(&format!("click_id={click}&tid=T1&payout=3")).await?;
    server.deliver().await?;
    let row = server.accepted().await?.first().context("sent")?.to_string();
    let file = pack(&server, &format!("/{click}")).await?.text();
    assert!(kinds(&file).iter().any(|kind| kind == "attempt"), "{file}");
    for told in ["fb.1.1700000000000.", "jane", "doe.example"] {
        assert!(row.contains(told), "sent: {told} in {row}");
        assert!(!file.contains(told), "{told} in {file}");
    }
    // A page that is none of the campaign's is refused: its visitor's address is no partner's.
    let elsewhere = http::Request::post("/e").header("origin", "https://elsewhere.example");
    let reply = client::send(server.tracking, elsewhere.body(call.to_string().into())?).await?;
    assert_eq!(reply.status, 403, "{}", reply.text());
    let refused = server.engine.store.list_receipts(None, None, 1).await?.remove(0);
    assert!(!refused.peer.is_empty());
    let file = pack(&server, "?verdict=refused").await?.text();
    assert!(file.contains(&refused.id.to_string()) && !file.contains(&refused.peer), "{file}");
    assert!(verify(file.as_bytes(), None).ok);
    // Two sales of one click: the click is told once.
    server.postback(&format!("click_id={click}&tid=T2&payout=4")).await?;
    let file = pack(&server, "?partner=acme").await?.text();
    assert_eq!(kinds(&file).iter().filter(|kind| *kind == "conversion").count(), 2, "{file}");
    assert_eq!(kinds(&file).iter().filter(|kind| *kind == "click").count(), 1, "{file}");
    server.stop().await;
    Ok(())
}

async fn offline(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let (flags, directory) = (database.flags(), database.directory());
    configure(&database, "127.0.0.1:9".parse()?)?;
    let seeded = program().run(
        &["seed", "--clicks", "3", "--campaign", "summer", "--leads", "1", "--partner", "acme"],
        &flags,
        directory,
    )?;
    assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    let made = program().run(&["evidence", "demo-1", "--out", "pack.html", "--json"], &flags, directory)?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let printed = program().run(&["evidence", "--print-key"], &flags, directory)?;
    let key = String::from_utf8(printed.stdout)?.trim().to_owned();
    assert_eq!(word(&serde_json::from_slice(&made.stdout)?, "key"), key, "one key, made once");
    // Elsewhere, where there is no data.
    let elsewhere = tempfile::tempdir()?;
    let file = directory.join("pack.html").display().to_string();
    let check = |more: &[&str]| program().run(&[&["verify", &file], more].concat(), &[], elsewhere.path());
    let good = check(&["--key", &key])?;
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(
        good.status.success() && said.contains("It proves:") && said.contains("It does not prove:"),
        "{said}"
    );
    assert!(std::fs::read_dir(elsewhere.path())?.next().is_none(), "nothing is made there");
    let other = check(&["--key", &"0".repeat(64)])?;
    assert_eq!(other.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&other.stdout).contains("signed by another key"));
    let whole = std::fs::read(&file)?;
    let at = whole.windows(6).position(|part| part == b"demo-1").context("the transaction")?;
    let mut changed = whole;
    changed[at + 5] = b'2';
    std::fs::write(&file, changed)?;
    assert_eq!(check(&[])?.status.code(), Some(6));
    Ok(())
}
