//! Names and labels of the accounts and bindings of groups.

use crate::account::{Account, AccountKind};
use common::hash::fnv1a;

/// Label on everything that this program makes.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "active-passive");
/// Longest name of an object, bytes.
const NAME_BYTES_MAX: usize = 253;

/// The two roles that an account may be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// What every sidecar needs.
    Sidecar,
    /// The right to write Services: where the group has an annotated one.
    Router,
}

/// Selector of everything that this program makes.
pub fn selector() -> String {
    format!("{}={}", MANAGED_BY.0, MANAGED_BY.1)
}

/// Name of the RoleBinding that gives `account` a role in `group`. A dot separates its parts: no
/// group has one in its name, so no two bindings share a name.
pub fn binding(group: &str, account: &Account, role: Role) -> String {
    let role = match role {
        Role::Sidecar => "sidecar",
        Role::Router => "router",
    };
    let own = format!("{}{group}.{role}", common::contract::GROUP_ACCOUNT_PREFIX);
    let name = match account.kind {
        AccountKind::Group => own,
        AccountKind::Custom => format!("{own}.{}", account.name),
    };
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    // An account's name may fill all the room there is.
    let hash = format!("-{:016x}", fnv1a(name.as_bytes()));
    format!("{}{hash}", &name[..NAME_BYTES_MAX - hash.len()])
}

/// Group, account and role that a RoleBinding of this name is for; none if the name is not one that
/// [`binding`] gives, or one that it had to shorten.
pub fn bound_by(name: &str) -> Option<(&str, Account, Role)> {
    if name.len() >= NAME_BYTES_MAX {
        return None;
    }
    let mut parts = name.splitn(3, '.');
    let (own, role, custom) = (parts.next()?, parts.next()?, parts.next());
    let group = own.strip_prefix(common::contract::GROUP_ACCOUNT_PREFIX)?;
    let role = match role {
        "sidecar" => Role::Sidecar,
        "router" => Role::Router,
        _ => return None,
    };
    let kind = match custom {
        None => AccountKind::Group,
        Some(_) => AccountKind::Custom,
    };
    let name = custom.unwrap_or(own).to_owned();
    Some((group, Account { name, kind }, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, kind: AccountKind) -> Account {
        Account {
            name: name.to_owned(),
            kind,
        }
    }

    #[test]
    fn a_name_says_what_it_binds() {
        let own = account("active-passive-group-web", AccountKind::Group);
        let custom = account("shop.v2", AccountKind::Custom);
        for (account, role) in [(&own, Role::Router), (&custom, Role::Sidecar)] {
            let name = binding("web", account, role);
            assert_eq!(bound_by(&name), Some(("web", account.clone(), role)));
        }
        let long = account(&"a".repeat(250), AccountKind::Custom);
        let long = binding("web", &long, Role::Sidecar);
        for other in [
            "web",
            "web.sidecar",
            "active-passive-group-web.admin",
            &long,
        ] {
            assert_eq!(bound_by(other), None, "{other}");
        }
    }

    #[test]
    fn bindings_are_told_apart() {
        let own = account("active-passive-group-web", AccountKind::Group);
        assert_eq!(
            binding("web", &own, Role::Sidecar),
            "active-passive-group-web.sidecar"
        );
        assert_eq!(
            binding("web", &own, Role::Router),
            "active-passive-group-web.router"
        );
        let shop = account("shop", AccountKind::Custom);
        assert_eq!(
            binding("web", &shop, Role::Sidecar),
            "active-passive-group-web.sidecar.shop"
        );
        let long = |end: &str| account(&format!("{}{end}", "a".repeat(250)), AccountKind::Custom);
        let (one, two) = (
            binding("web", &long("1"), Role::Router),
            binding("web", &long("2"), Role::Router),
        );
        assert_eq!((one.len(), two.len()), (NAME_BYTES_MAX, NAME_BYTES_MAX));
        assert_ne!(one, two);
    }
}
