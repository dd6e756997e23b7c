//! The process's own settings: flags over environment over `crosstally.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use crosstally_core::config::address;
use crosstally_store::Location;
use ipnet::IpNet;

use crate::cli::{Place, ProxyHeader, Role, Serve};

/// The settings file. Every key is also a flag and a `CROSSTALLY_*` variable.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    database_url: Option<String>,
    master_key_file: Option<PathBuf>,
    listen: Option<SocketAddr>,
    admin_listen: Option<SocketAddr>,
    roles: Option<Vec<Role>>,
    trusted_proxies: Option<Vec<String>>,
    proxy_header: Option<ProxyHeader>,
    trust_any_proxy: Option<bool>,
    geo_files: Option<Vec<PathBuf>>,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// The data directory; with PostgreSQL it holds the spool only.
    pub(crate) data: PathBuf,
    /// The store.
    pub(crate) location: Location,
    /// The master key, if it is kept apart.
    pub(crate) master_key_file: Option<PathBuf>,
}

/// What `serve` runs with.
#[derive(Debug, Clone)]
pub(crate) struct ServeSettings {
    pub(crate) ground: Ground,
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    pub(crate) roles: Vec<Role>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) proxy_header: ProxyHeader,
    pub(crate) geo_files: Vec<PathBuf>,
}

impl ServeSettings {
    /// Whether this node does this work.
    pub(crate) fn does(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// Where the data is, from flags, environment and file.
pub(crate) fn ground(place: &Place) -> Result<Ground> {
    let file = file(place)?;
    Ok(ground_from(place, &file))
}

fn ground_from(place: &Place, file: &File) -> Ground {
    let data = place.data.clone().or_else(|| file.data.clone()).unwrap_or_else(|| PathBuf::from("data"));
    let url = place.database_url.clone().or_else(|| file.database_url.clone());
    // A data directory named on the command line means the embedded store, whatever the file says.
    let url = if place.data.is_some() && place.database_url.is_none() { None } else { url };
    let location = url.map_or_else(|| Location::Directory(data.clone()), Location::Postgres);
    let master_key_file = place.master_key_file.clone().or_else(|| file.master_key_file.clone());
    Ground { data, location, master_key_file }
}

/// What `serve` runs with, from flags, environment and file.
pub(crate) fn serve(flags: &Serve) -> Result<ServeSettings> {
    let file = file(&flags.place)?;
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let proxies = flags.trusted_proxies.clone().or_else(|| file.trusted_proxies.clone()).unwrap_or_default();
    let any = flags.trust_any_proxy.or(file.trust_any_proxy).unwrap_or(false);
    Ok(ServeSettings {
        ground: ground_from(&flags.place, &file),
        listen: flags.listen.or(file.listen).unwrap_or_else(|| local(8080)),
        admin_listen: flags.admin_listen.or(file.admin_listen).unwrap_or_else(|| local(8081)),
        roles: flags
            .roles
            .clone()
            .or(file.roles)
            .unwrap_or_else(|| vec![Role::Collect, Role::Api, Role::Deliver, Role::Tasks]),
        trusted_proxies: proxies.iter().map(|text| range(text, any)).collect::<Result<_>>()?,
        geo_files: flags.geo_files.clone().or(file.geo_files).unwrap_or_default(),
        proxy_header: flags.proxy_header.or(file.proxy_header).unwrap_or(ProxyHeader::XForwardedFor),
    })
}

/// A proxy's address, by the rule for every list of addresses.
fn range(text: &str, any: bool) -> Result<IpNet> {
    let text = text.trim();
    let range =
        address::range(text).map_err(|no| anyhow!("trusted_proxies: `{text}` {}; {}", no.problem, no.fix))?;
    if address::is_everybody(&range) && !any {
        bail!(
            "trusted_proxies: `{text}` would believe nearly anybody; name your own proxies, or set trust_any_proxy = true \
             if nobody but your proxies can reach this port"
        );
    }
    Ok(range)
}

fn file(place: &Place) -> Result<File> {
    let (path, named) = match &place.settings {
        Some(path) => (path.as_path(), true),
        None => (Path::new("crosstally.toml"), false),
    };
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("{} cannot be read", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(File::default()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}
