"""Formats and hashes contact values with Google's own library for the Data Manager API.

Called by the test with a file of [field, value] a line; prints {"text", "hash"} for each, or {"error"} where the library
refuses the value.
"""
import json
import sys

from google.ads.datamanager_util import Encoding, Formatter

judge = Formatter()
DOORS = {
    "em": (judge.format_email_address, judge.process_email_address),
    "ph": (judge.format_phone_number, judge.process_phone_number),
    "fn": (judge.format_given_name, judge.process_given_name),
    "ln": (judge.format_family_name, judge.process_family_name),
}
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        field, value = json.loads(line)
        text, hashed = DOORS[field]
        try:
            print(json.dumps({"text": text(value), "hash": hashed(value, Encoding.HEX)}))
        except ValueError as error:
            print(json.dumps({"error": str(error)}))
