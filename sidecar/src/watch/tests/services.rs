//! Services: only the group's, and only while there is the right to see them.

use super::*;
use crate::doubt::Doubt;
use crate::watched::GroupServices;

#[tokio::test(start_paused = true)]
async fn only_services_of_the_group_are_told_about_and_when_they_leave_it() {
    let service = |name: &str, version: u64, group: &str| {
        json!({"metadata": {
            "name": name, "resourceVersion": version.to_string(),
            "annotations": {common::contract::GROUP: group},
        }})
    };
    let forbidden = json!({"message": "services is forbidden"});
    let mut scene = scene(
        group_services(Arc::default()),
        vec![
            answer("services?limit=64", 403, &forbidden),
            answer("services?limit=64", 403, &forbidden),
            answer(
                "services?limit=64",
                200,
                &list(10, &[service("web", 5, "web"), service("db", 6, "db")]),
            ),
            events(
                "watch=true",
                &[
                    event("MODIFIED", service("db", 11, "db")),
                    event("MODIFIED", service("web", 12, "other")),
                    event("DELETED", service("db", 13, "db")),
                    event("ADDED", service("new", 14, "web")),
                ],
            ),
        ],
    );
    let began = Instant::now();
    for _ in 0..2 {
        assert_eq!(scene.input().await, Input::ServicesForbidden);
    }
    let Input::ServicesListed(services) = scene.input().await else {
        panic!("no list")
    };
    assert_eq!(
        services.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["web"]
    );
    assert!(
        began.elapsed() >= Duration::from_secs(4),
        "a missing right is asked for patiently"
    );
    let gone = scene.input().await;
    assert!(
        matches!(&gone, Input::ServiceGone(name, _) if name == "web"),
        "{gone:?}"
    );
    let Input::ServiceSeen(view) = scene.input().await else {
        panic!("no Service")
    };
    assert_eq!(view.name, "new");
}

fn group_services(doubt: Arc<Doubt>) -> GroupServices {
    GroupServices::new(config(), Facts::default(), doubt)
}

fn one_service() -> Value {
    list(
        10,
        &[json!({"metadata": {
            "name": "web", "resourceVersion": "5",
            "annotations": {common::contract::GROUP: "web"},
        }})],
    )
}

/// An API server that has just started knows of no rights for a while.
#[tokio::test(start_paused = true)]
async fn services_that_are_known_are_listed_again_when_they_may_be_seen_again() {
    let mut scene = scene(
        group_services(Arc::default()),
        vec![
            answer("services?limit=64", 200, &one_service()),
            answer("resourceVersion=10", 403, &json!({"message": "forbidden"})),
            answer("services?limit=64", 200, &one_service()),
        ],
    );
    let listed = scene.input().await;
    assert!(matches!(&listed, Input::ServicesListed(services) if services.len() == 1));
    assert_eq!(scene.input().await, Input::ServicesForbidden);
    assert_eq!(scene.input().await, listed);
}

/// A watch that is open goes on when the right to it is taken away.
#[tokio::test(start_paused = true)]
async fn a_write_that_is_forbidden_makes_services_be_listed_again() {
    let doubt = Arc::new(Doubt::default());
    let open = || Scripted {
        stays_open: true,
        ..events("resourceVersion=10", &[])
    };
    let list = || answer("services?limit=64", 200, &one_service());
    let mut scene = scene(
        group_services(doubt.clone()),
        vec![list(), open(), list(), open(), list(), open()],
    );
    let listed = scene.input().await;
    scene.asked(2).await;
    let began = Instant::now();
    doubt.raise();
    assert_eq!(scene.input().await, listed);
    scene.asked(4).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    // Something else may refuse each write: that is no reason to list again and again.
    doubt.raise();
    assert_eq!(scene.input().await, listed);
    assert!(began.elapsed() >= Duration::from_secs(30));
}
