/** All that the page says by itself. A site gives others in `element.words`, as far as it wants. */

export const WORDS = {
  title: "Support",
  agent: "Assistant",
  person: "A member of our team",
  you: "You",
  conversation: "Conversation",
  welcome: "How can we help?",
  welcomeMore: "Ask in your own words. You can write more while the assistant is at work.",
  placeholder: "Write a message",
  send: "Send",
  stop: "Stop",
  latest: "Latest",
  menu: "More",
  hint: "Enter sends, Shift + Enter begins a new line",
  tooLong: "That is more than one message can hold: please shorten it.",

  hereAgent: "The assistant answers here",
  hereWaiting: "A person was asked to come",
  herePerson: "A person is here",
  connecting: "Connecting …",
  offline: "You are offline. What you write is kept, and sent once you are back.",
  away: "The connection was lost. It is being made again; what you write is kept.",
  signIn: "You are not signed in any more. Sign in again to go on.",

  notSent: "Waits to be sent",
  sending: "Sending …",
  refused: "Not sent: ",
  again: "Send again",
  drop: "Remove",

  working: "The assistant is at work",
  stopping: "Stopping …",
  stopped: "Stopped.",
  unfinished: "That could not be finished. Please try again.",
  personAsked: "A person was asked to come. The assistant is silent until they are done.",
  personHere: "A person has joined the conversation.",
  agentBack: "The assistant is here again.",
  older: "Older steps are no longer kept.",

  ticket: "Ticket opened",
  approvalOpen: "Waits for a person's yes",
  approvalYes: "A person said yes",
  approvalNo: "A person said no",
  approvalLate: "Nobody decided in time; nothing was done",
  approvalGone: "No longer wanted; nothing was done",

  askPerson: "Ask for a person",
  askPersonText: "I want to talk to a human",
  download: "Download the conversation",
  downloadFailed: "It could not be downloaded. Please try again.",
  remove: "Delete the conversation …",
  removeAsk: "Delete this conversation?",
  removeSay: "All that was said here is removed for good, also for us. Tickets that were opened stay.",
  removeYes: "Delete",
  removeNo: "Keep it",
  removed: "The conversation was deleted.",
  removeFailed: "It could not be deleted. Please try again.",

  startsWriting: "The assistant is writing.",
  takenBack: "The assistant begins its answer again.",
  endsWriting: "End of the answer.",

  stepUnknown: "did not end yet; it goes on",
  stepError: "did not work",
  stepDenied: "is not allowed",
};

export type Words = typeof WORDS;

/** A step while it happens, and when it is done; for tools that are not here, `Using` and `Used` with their name. */
export const STEPS: Record<string, readonly [string, string]> = {
  query_user_database: ["Looking at your account", "Looked at your account"],
  export_account: ["Preparing an export of your account", "Prepared an export of your account"],
  check_service_status: ["Checking the status of our services", "Checked the status of our services"],
  search_help_articles: ["Searching our help articles", "Searched our help articles"],
  create_support_ticket: ["Opening a ticket for you", "Opened a ticket for you"],
  list_my_tickets: ["Looking at your tickets", "Looked at your tickets"],
  get_ticket: ["Looking at your ticket", "Looked at your ticket"],
  refund_invoice: ["Refunding an invoice", "Refunded an invoice"],
  cancel_refund: ["Taking a refund back", "Took a refund back"],
  check_task: ["Looking how far it is", "Looked how far it is"],
  find_tools: ["Looking for a way to do it", "Found a way to do it"],
  hand_over_to_person: ["Asking a person to come", "Asked a person to come"],
};

/** The words for a tool: what a site gives, ours, or the name of the tool. */
export function stepWords(tool: string, given: Record<string, readonly [string, string]>): readonly [string, string] {
  const name = tool.replaceAll("_", " ");
  const own = Object.hasOwn(given, tool) ? given[tool] : Object.hasOwn(STEPS, tool) ? STEPS[tool] : undefined;
  return own ?? [`Using ${name}`, `Used ${name}`];
}
