// PostHog's library for Node: only the host is ours.
import { PostHog } from "posthog-node";

const [url, key] = process.argv.slice(2);
const client = new PostHog(key, { host: url, fetchRetryCount: 1 });
client.on("error", (error) => console.log("failed:", error));
client.identify({ distinctId: "u1", properties: { country: "FR" } });
client.capture({ distinctId: "u1", event: "like", properties: { video_id: "v1" } });
client.capture({
  distinctId: "u1",
  event: "view_end",
  properties: { video_id: "v1", watch_ms: 9000, duration_ms: 9000 },
});
client.capture({ distinctId: "u1", event: "$pageview", properties: { $pathname: "/home" } });
client.capture({ distinctId: "u1", event: "Order Completed" });
await client.shutdown();
