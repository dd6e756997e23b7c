// Normalises and hashes contact values with Meta's Node SDK.
//
// Called by the test with a file of [field, value] a line; prints {"text", "hash"} for each; both are null where the SDK sends
// nothing, and {"error"} stands where it refuses the value.
const fs = require('fs');
const { ServerSideUtils } = require('facebook-nodejs-business-sdk');

const hashing = ServerSideUtils.toSHA256;

function normal(field, value) {
  ServerSideUtils.toSHA256 = (text) => text;
  try {
    return ServerSideUtils.normalizeAndHash(value, field);
  } finally {
    ServerSideUtils.toSHA256 = hashing;
  }
}

for (const line of fs.readFileSync(process.argv[2], 'utf8').split('\n')) {
  const [field, value] = JSON.parse(line);
  try {
    const hash = ServerSideUtils.normalizeAndHash(value, field);
    console.log(JSON.stringify({ text: normal(field, value) || null, hash: hash || null }));
  } catch (error) {
    console.log(JSON.stringify({ error: 'refused' }));
  }
}
