// Sends events through Meta's Node SDK to a sandbox, one request each.
//
// Called by the test with the sandbox's address, a dataset id and a file of events in the shape of this project's server
// events; prints how many it sent.
const fs = require('fs');
const sdk = require('facebook-nodejs-business-sdk');

const LISTS = {
  email: 'setEmails', phone: 'setPhones', first_name: 'setFirstNames', last_name: 'setLastNames', gender: 'setGenders',
  birthdate: 'setDatesOfBirth', city: 'setCities', state: 'setStates', zip: 'setZips', country: 'setCountries',
  external_id: 'setExternalIds', client_ip_address: 'setClientIpAddress', client_user_agent: 'setClientUserAgent',
  fbc: 'setFbc', fbp: 'setFbp', subscription_id: 'setSubscriptionId', lead_id: 'setLeadId',
};
const EVENT = {
  event: 'setEventName', event_time: 'setEventTime', event_id: 'setEventId', action_source: 'setActionSource',
  event_source_url: 'setEventSourceUrl', opt_out: 'setOptOut',
  data_processing_options: 'setDataProcessingOptions',
  data_processing_options_country: 'setDataProcessingOptionsCountry',
  data_processing_options_state: 'setDataProcessingOptionsState',
};
const CUSTOM = {
  order_id: 'setOrderId', content_name: 'setContentName', content_ids: 'setContentIds', content_type: 'setContentType',
  num_items: 'setNumItems', status: 'setStatus', predicted_ltv: 'setPredictedLtv',
};

function filled(target, setters, given) {
  for (const [name, setter] of Object.entries(setters)) {
    if (given[name] !== undefined) target[setter](given[name]);
  }
  return target;
}

function customData(event) {
  const custom = { ...(event.custom || {}) };
  const data = filled(new sdk.CustomData(), CUSTOM, custom);
  if (event.value !== undefined) data.setValue(Number(event.value)).setCurrency(event.currency);
  if (custom.contents) {
    data.setContents(custom.contents.map((item) =>
      new sdk.Content().setId(item.id).setQuantity(item.quantity).setItemPrice(Number(item.item_price))));
  }
  const own = Object.fromEntries(Object.entries(custom).filter(([name]) => !(name in CUSTOM) && name !== 'contents'));
  if (Object.keys(own).length) data.setCustomProperties(own);
  return data;
}

async function main() {
  const [sandbox, dataset, path] = process.argv.slice(2);
  Object.defineProperty(sdk.FacebookAdsApi, 'GRAPH', { get: () => sandbox });
  const events = JSON.parse(fs.readFileSync(path, 'utf8'));
  for (const event of events) {
    const made = filled(new sdk.ServerEvent(), EVENT, event).setUserData(filled(new sdk.UserData(), LISTS, event.user || {}));
    if (event.custom || event.value !== undefined) made.setCustomData(customData(event));
    await new sdk.EventRequest('tok-good', dataset).setEvents([made]).execute();
  }
  console.log(events.length);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
