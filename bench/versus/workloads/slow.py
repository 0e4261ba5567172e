from harness.mail import Mails, Route
from workloads import workload

TITLE = "Slow receivers"
HOW = "The receiver, of ten addresses, answers each final dot after 1 s, so S sessions are S messages/s at most. " \
      "By number of sessions; {slow_mails} mails a session, {slow_mails_fast} of Sluice's."
ALONG = "sessions"
ROUNDS_MOST = 1
# With one address the kernel would spend its time on the search for a port that is still free.
NEXT_HOPS = 10


def cases(bench, driver):
    return list(bench.sizes.slow_sessions)


def measure(bench, driver, sessions):
    if sessions > driver.sessions_most:
        return {"sessions": sessions, "messages": 0, "remark": f"not tried: {driver.sessions_why}"}
    count = sessions * bench.count(driver, bench.sizes.slow_mails, bench.sizes.slow_mails_fast)
    route = Route(sessions // NEXT_HOPS, NEXT_HOPS, sessions_in_all=sessions)
    return workload.drain(bench, driver, count, route, Mails(count, domains=NEXT_HOPS), delay="1s") | {"sessions": sessions}
