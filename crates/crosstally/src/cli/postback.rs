//! The commands for postbacks, and their flags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum Postback {
    /// Send a real call and print the answer. Exits with 0 if it was taken, 5 if it waits for somebody, 6 if it was refused.
    Send(Box<PostbackSend>),
    /// Say whose call a sample looks like, what each parameter would become, and which partner section and URL follow.
    /// Works offline.
    Parse {
        /// A postback URL with values or macros, its query, a line of a log, or a JSON body; `-` reads it from stdin.
        sample: String,
        /// The partner's slug [default: the preset's name].
        #[arg(long)]
        slug: Option<String>,
        /// The address of the tracking listener, as senders see it.
        #[arg(long, value_name = "URL", default_value = "https://YOUR-TRACKING-HOST")]
        base: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PostbackSend {
    /// The tracking address, e.g. http://127.0.0.1:8080.
    #[arg(long, env = "CROSSTALLY_TRACKING_URL", value_name = "URL", required_unless_present = "template")]
    pub(crate) url: Option<String>,
    /// The partner's slug.
    #[arg(long, required_unless_present = "template")]
    pub(crate) partner: Option<String>,
    /// A foreign postback URL with macros, as in a destination: it is checked, filled in with the parameters, and called
    /// as a delivery would call it.
    #[arg(long, value_name = "URL", conflicts_with_all = ["partner", "json_body", "sign"])]
    pub(crate) template: Option<String>,
    /// Send the same call once more with a wrong token or signature, which must be refused.
    #[arg(long)]
    pub(crate) negative: bool,
    /// With --template: ask machines outside the public internet too.
    #[arg(long, requires = "template")]
    pub(crate) allow_private: bool,
    /// Parameters, in their order.
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) params: Vec<String>,
    /// A click id, sent as click_id.
    #[arg(long)]
    pub(crate) click: Option<String>,
    /// GET or POST [default: POST with a body, else GET]; POST without --json-body sends the parameters as a form.
    #[arg(long)]
    pub(crate) method: Option<String>,
    /// A file with a JSON body; parameters then go into the query.
    #[arg(long, value_name = "FILE")]
    pub(crate) json_body: Option<PathBuf>,
    /// Sign the call, by this scheme if it is not `crosstally`; needs the secret.
    #[arg(long, value_name = "SCHEME", num_args = 0..=1, default_missing_value = "crosstally")]
    pub(crate) sign: Option<String>,
    /// The secret that the call is signed with.
    #[arg(long, env = "CROSSTALLY_PARTNER_SECRET", hide_env_values = true, hide = true)]
    pub(crate) secret: Option<String>,
    /// A file with the secret; or set CROSSTALLY_PARTNER_SECRET.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
}
