//! `crosstally postback send|parse`.

use std::io::Read;

use anyhow::Result;
use crosstally_core::postback::propose::{By, Proposal, propose};

use crate::cli::Postback;
use crate::exit::{self, Code};
use crate::show;

mod send;

/// The largest sample that is read from stdin.
const SAMPLE_BYTES_MAX: u64 = 64 * 1024;

/// Runs one of the postback commands.
pub(crate) async fn run(command: Postback, json: bool) -> Result<()> {
    match command {
        Postback::Send(wanted) => send::run(&wanted, json).await,
        Postback::Parse { sample, slug, base } => parse(&sample, slug.as_deref(), &base, json),
    }
}

fn parse(sample: &str, slug: Option<&str>, base: &str, json: bool) -> Result<()> {
    let mut text = sample.to_owned();
    if sample == "-" {
        text.clear();
        std::io::stdin().lock().take(SAMPLE_BYTES_MAX).read_to_string(&mut text)?;
    }
    let proposal = propose(&text, slug, base).map_err(|error| exit::with(Code::Usage, error.to_string()))?;
    if json {
        return show::json(&proposal);
    }
    senders(&proposal)?;
    params(&proposal)?;
    show::text(&format!(
        "\nThe partner's section:\n\n{}\nThe URL for the sender:\n\n{}\n",
        show::clean_lines(&proposal.section),
        show::clean(&proposal.url)
    ))?;
    if !proposal.notes.is_empty() {
        show::aside("")?;
    }
    for note in &proposal.notes {
        show::aside(&format!("note: {note}"))?;
    }
    Ok(())
}

fn senders(proposal: &Proposal) -> Result<()> {
    if proposal.preset == "generic" {
        show::text("No preset is close enough; the proposal starts from `generic`.\n\n")?;
    }
    if proposal.candidates.is_empty() {
        return Ok(());
    }
    let rows = proposal.candidates.iter().map(|candidate| {
        vec![
            candidate.preset.to_owned(),
            candidate.title.to_owned(),
            candidate.score.to_string(),
            candidate.why.join(", "),
        ]
    });
    show::table(&["preset", "sender", "points", "because of"], rows)?;
    show::text("\n")
}

fn params(proposal: &Proposal) -> Result<()> {
    let rows = proposal.params.iter().map(|reading| {
        let status = proposal.statuses.first().filter(|_| reading.field == Some("status"));
        let meaning = status.map(|seen| format!(" = {}", seen.meaning.unwrap_or("?"))).unwrap_or_default();
        let becomes = match (reading.field, reading.by) {
            (Some(field), _) => format!("{field}{meaning}"),
            (None, By::Secret) => "checked, never kept".into(),
            (None, _) => "kept".into(),
        };
        let by = match reading.by {
            By::Preset => "preset",
            By::Name => "its name",
            By::Guess => "a guess",
            By::Secret | By::Nobody => "",
        };
        let value = if reading.by == By::Secret { "***".to_owned() } else { reading.value.clone() };
        vec![reading.name.clone(), value, becomes, by.to_owned()]
    });
    show::table(&["parameter", "value", "becomes", "by"], rows)
}
