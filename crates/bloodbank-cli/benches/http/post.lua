-- What `wrk` posts, and the line that it ends with: answers, those that are not 2xx, seconds, p99 in ms.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

function init(arguments)
  local file = io.open(arguments[1], "rb")
  wrk.body = file:read("*a")
  file:close()
end

function done(summary, latency, _)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("figures %d %d %.6f %.3f\n", summary.requests, errors.status + lost,
    summary.duration / 1e6, latency:percentile(99) / 1e3))
end
