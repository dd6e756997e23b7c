"""Sends events through Meta's own SDK to a sandbox, one request each.

Called by the test with the sandbox's address, a dataset id and a file of events in the shape of this project's server
events; prints how many it sent.
"""
import json
import sys

from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.content import Content
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.gender import Gender
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

LISTS = {
    "email": "emails",
    "phone": "phones",
    "first_name": "first_names",
    "last_name": "last_names",
    "birthdate": "dates_of_birth",
    "city": "cities",
    "state": "states",
    "zip": "zip_codes",
    "country": "country_codes",
    "external_id": "external_ids",
}
PLAIN = ["client_ip_address", "client_user_agent", "fbc", "fbp", "subscription_id", "lead_id", "madid"]
STANDARD = ["content_name", "content_category", "content_ids", "content_type", "order_id", "num_items", "status",
            "search_string", "delivery_category"]


def user_data(user):
    fields = {theirs: user[ours] for ours, theirs in LISTS.items() if ours in user}
    fields.update({name: user[name] for name in PLAIN if name in user})
    if "gender" in user:
        fields["genders"] = [Gender.FEMALE if text.startswith("f") else Gender.MALE for text in user["gender"]]
    return UserData(**fields)


def custom_data(event):
    custom = dict(event.get("custom", {}))
    fields = {name: custom.pop(name) for name in STANDARD if name in custom}
    if "contents" in custom:
        fields["contents"] = [
            Content(product_id=item["id"], quantity=item["quantity"], item_price=float(item["item_price"]))
            for item in custom.pop("contents")
        ]
    for name in ("predicted_ltv", "net_revenue"):
        if name in custom:
            fields[name] = float(custom.pop(name))
    if "value" in event:
        fields["value"] = float(event["value"])
        fields["currency"] = event["currency"]
    if custom:
        fields["custom_properties"] = custom
    return CustomData(**fields) if fields else None


def build(event):
    fields = {name: event[name] for name in ("event_source_url", "referrer_url", "opt_out", "data_processing_options",
                                             "data_processing_options_country", "data_processing_options_state")
              if name in event}
    return Event(
        event_name=event["event"],
        event_time=event["event_time"],
        event_id=event["event_id"],
        action_source=ActionSource(event["action_source"]),
        user_data=user_data(event.get("user", {})),
        custom_data=custom_data(event),
        **fields,
    )


def main():
    sandbox, dataset, path = sys.argv[1:4]
    FacebookSession.GRAPH = sandbox
    FacebookAdsApi.init(access_token="tok-good", crash_log=False)
    with open(path, encoding="utf-8") as file:
        events = json.load(file)
    for event in events:
        EventRequest(pixel_id=dataset, events=[build(event)]).execute()
    print(len(events))


main()
