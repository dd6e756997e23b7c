//! Which goals a moved conversion meets, and what follows from each.

use super::Context;
use crate::click::Click;
use crate::condition::Subject;
use crate::config::Campaign;
use crate::conversion::{Conversion, GoalMet};
use crate::delivery::DeliveryState;
use crate::goal::{self, GoalDecision};
use crate::ids::{DeliveryId, GoalEventId};
use crate::params::Params;
use crate::postback::{Postback, Receipt};
use crate::reason::Reason;
use crate::route::{self, GoalEvent, NewDelivery};

/// What follows from a movement.
#[derive(Default)]
pub(super) struct Followed {
    pub(super) decisions: Vec<GoalDecision>,
    pub(super) events: Vec<GoalEvent>,
    pub(super) deliveries: Vec<NewDelivery>,
}

/// Decides about every goal; those that are met are noted with the conversion.
pub(super) fn follow(
    postback: &Postback,
    click: Option<&Click>,
    campaign: Option<&Campaign>,
    conversion: &mut Conversion,
    receipt: &Receipt,
    context: &mut Context<'_>,
) -> Followed {
    let click_params: Vec<(String, String)> = click
        .and_then(|click| Params::parse(click.query.as_bytes()).ok())
        .map(|params| params.iter().map(|param| (param.name.clone(), param.value.clone())).collect())
        .unwrap_or_default();
    let mut followed = Followed::default();
    let config = context.config;
    for goal in &config.goals {
        let labels = &conversion.labels;
        let subject = Subject { conversion, fields: &postback.fields, click_params: &click_params, labels };
        let (reason, detail) = goal::decide(goal, &subject);
        // One that was met before names the event that followed then.
        let met = conversion.goals_met.iter().find(|met| met.goal == goal.slug).map(|met| met.event);
        let mut decision = GoalDecision { goal: goal.slug.clone(), reason, detail, event: met };
        if reason == Reason::GoalMet {
            let id = GoalEventId::new(context.now, (context.random)());
            decision.event = Some(id);
            conversion.goals_met.push(GoalMet { goal: goal.slug.clone(), event: id });
            let event = route::event(route::Source {
                goal,
                conversion,
                event_time: postback.event_time.unwrap_or(context.received_at),
                click,
                click_params: &click_params,
                campaign,
                page: postback.page.as_deref(),
                given: postback.given.as_deref(),
                browser: postback.browser.as_deref(),
                measured: context.measured,
                hops: receipt.headers.hops(),
            });
            // A partner's clock may be a little ahead; platforms refuse events from the future, so it is waited for.
            let due_at = context.now.max(event.event_time).plus_millis(goal.delay_ms);
            for (number, slug) in (0..).zip(&goal.send_to) {
                let Some(destination) = config.destination(slug) else { continue };
                let max_age = (context.max_age_ms)(destination, &event.action_source);
                followed.deliveries.push(NewDelivery {
                    id: DeliveryId::of(id, number),
                    goal_event: id,
                    conversion: conversion.id,
                    destination: slug.clone(),
                    state: DeliveryState::Pending,
                    due_at,
                    deadline_at: event.event_time.plus_millis(max_age),
                });
            }
            followed.events.push(GoalEvent {
                id,
                conversion: conversion.id,
                goal: goal.slug.clone(),
                sequence: conversion.movements,
                event,
                created_at: context.now,
            });
        }
        followed.decisions.push(decision);
    }
    followed
}
