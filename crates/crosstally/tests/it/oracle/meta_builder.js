// Normalises and hashes contact values with Meta's parameter builder, and has it choose the cookies of a request.
//
// Called by the test with a file of lines: ["value", field, value], or ["cookies", host, query, cookies, now in ms].
const fs = require('fs');
const { ParamBuilder } = require('capi-param-builder-nodejs');
const { getNormalizedPII } = require('capi-param-builder-nodejs/src/piiUtil/PIIUtil.js');

const TYPES = {
  em: 'email', ph: 'phone', fn: 'first_name', ln: 'last_name', ge: 'gender', db: 'date_of_birth', ct: 'city', st: 'state',
  zp: 'zip_code', country: 'country', external_id: 'external_id',
};

function cookies(host, query, given, now) {
  Date.now = () => now;
  // The whole host is the cookie's domain.
  const builder = new ParamBuilder([host]);
  builder.processRequest(host, query, given);
  return { fbc: builder.getFbc(), fbp: builder.getFbp() };
}

for (const line of fs.readFileSync(process.argv[2], 'utf8').split('\n')) {
  const [kind, ...rest] = JSON.parse(line);
  if (kind === 'cookies') {
    console.log(JSON.stringify(cookies(...rest)));
  } else {
    const [field, value] = rest;
    const hash = new ParamBuilder([]).getNormalizedAndHashedPII(value, TYPES[field]);
    console.log(JSON.stringify({ text: getNormalizedPII(value, TYPES[field]) || null, hash: hash || null }));
  }
}
