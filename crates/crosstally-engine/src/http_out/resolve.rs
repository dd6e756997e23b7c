//! Names into addresses. One lookup per name at a time: the system's resolver cannot be interrupted, so a name server
//! that hangs must not take a thread per waiting call.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 64;

type Answer = Option<Result<Arc<[IpAddr]>, String>>;

/// Looks names up.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolver {
    running: Arc<Mutex<HashMap<String, watch::Receiver<Answer>>>>,
}

impl Resolver {
    /// All addresses of a name or an address literal, in the resolver's order.
    pub(super) async fn addresses(&self, host: &str) -> Result<Arc<[IpAddr]>, String> {
        if let Ok(literal) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Arc::from([literal]));
        }
        let mut answer = self.join_or_start(host);
        match answer.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_else(|| Err("the lookup gave nothing".to_owned())),
            Err(_) => {
                self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
                Err("the lookup was cut off".to_owned())
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "nobody can stop a lookup: it ends by itself, whoever still waits"
    )]
    fn join_or_start(&self, host: &str) -> watch::Receiver<Answer> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = running.get(host) {
            return answer.clone();
        }
        let (tell, answer) = watch::channel(None);
        running.insert(host.to_owned(), answer.clone());
        let (host, all) = (host.to_owned(), Arc::clone(&self.running));
        tokio::spawn(async move {
            let found = look_up(&host).await;
            all.lock().unwrap_or_else(PoisonError::into_inner).remove(&host);
            tell.send_replace(Some(found));
        });
        answer
    }
}

async fn look_up(host: &str) -> Result<Arc<[IpAddr]>, String> {
    let found =
        tokio::net::lookup_host((host, 0)).await.map_err(|_| "the name cannot be resolved".to_owned())?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|found| found.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
        if addresses.len() > ADDRESSES_MAX {
            return Err(format!("the name has more than {ADDRESSES_MAX} addresses"));
        }
    }
    if addresses.is_empty() { Err("the name has no address".to_owned()) } else { Ok(addresses.into()) }
}

#[cfg(test)]
impl Resolver {
    /// Answers for a name as a name server would.
    pub(super) fn plant(&self, host: &str, addresses: &[IpAddr]) {
        let answer = watch::channel(Some(Ok(Arc::from(addresses)))).1;
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), answer);
    }

    /// Never answers for a name, as long as what is returned is held.
    pub(super) fn plant_hanging(&self, host: &str) -> impl Sized + use<> {
        let (tell, answer) = watch::channel(None);
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), answer);
        tell
    }
}
