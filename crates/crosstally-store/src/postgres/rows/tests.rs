#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::connect::connect;
use super::super::tests::Scratch;
use super::super::transact::Database;
use super::*;

#[tokio::test]
async fn every_16_bytes_are_an_id_and_sort_as_bytes() {
    let scratch = Scratch::new().await;
    let database = Database::new(connect(&scratch.url, 1).await.unwrap());
    let ids = [Id([0; 16]), Id([0x7f; 16]), Id([0x80; 16]), Id([0xff; 16])];
    let shuffled = vec![ids[2], ids[0], ids[3], ids[1]];
    let sorted = database.ask("SELECT id FROM unnest($1::uuid[]) AS u (id) ORDER BY id", &[&shuffled]).await;
    let sorted: Vec<Id> = sorted.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(sorted, ids);
    database.close();
    scratch.remove().await;
}

#[tokio::test]
async fn a_text_keeps_every_character_but_nul() {
    let scratch = Scratch::new().await;
    let database = Database::new(connect(&scratch.url, 1).await.unwrap());
    for (given, stored) in [
        ("", ""),
        ("plain", "plain"),
        ("\u{1}\t\n\u{7f}'\"\\é\u{10ffff}", "\u{1}\t\n\u{7f}'\"\\é\u{10ffff}"),
        ("\0", "\u{fffd}"),
        ("a\0\0b\0", "a\u{fffd}\u{fffd}b\u{fffd}"),
    ] {
        let row = database.ask("SELECT $1::text", &[&Text(given)]).await.unwrap().remove(0);
        assert_eq!(get::<String>(&row, 0).unwrap(), stored);
        let row = database.ask("SELECT t FROM unnest($1::text[]) AS u (t)", &[&vec![Text(given)]]).await;
        assert_eq!(get::<String>(&row.unwrap()[0], 0).unwrap(), stored);
    }
    database.close();
    scratch.remove().await;
}

#[tokio::test]
async fn an_unreadable_value_is_named_but_not_shown() {
    let scratch = Scratch::new().await;
    let database = Database::new(connect(&scratch.url, 1).await.unwrap());
    let row = database.ask("SELECT 'geheim'::text AS status, -1::bigint AS movements", &[]).await.unwrap();
    let error = word(&row[0], 0, Status::from_word).unwrap_err().to_string();
    assert!(error.contains("status") && !error.contains("geheim"), "{error}");
    assert!(number(&row[0], 1).unwrap_err().to_string().contains("movements"));
    assert!(get::<i64>(&row[0], 0).is_err());
    database.close();
    scratch.remove().await;
}
