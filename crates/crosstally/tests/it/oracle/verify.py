"""Verifies calls with the published package of Standard Webhooks.

Called by the test with a secret and a file of calls, each with its headers and its body; prints one line for each: "ok", or
the name of what the package said.
"""
import json
import sys

from standardwebhooks.webhooks import Webhook

secret, path = sys.argv[1:3]
judge = Webhook(secret)
with open(path, encoding="utf-8") as file:
    for line in file:
        call = json.loads(line)
        try:
            judge.verify(call["body"], call["headers"])
            print("ok")
        except Exception as error:
            print(type(error).__name__)
