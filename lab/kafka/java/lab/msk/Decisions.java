package lab.msk;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** lab-iam's answers, each kept for a moment: a policy changed there bites here within that time. */
final class Decisions {

    private static final Logger LOG = LoggerFactory.getLogger(Decisions.class);

    private static final int MOST_KEPT = 50_000;

    private record Decision(boolean allowed, long validUntilNanos) {

        boolean valid(long now) {
            return validUntilNanos - now > 0;
        }
    }

    private final LabIam iam;

    private final Duration kept;

    private final ConcurrentMap<Permission, Decision> decisions = new ConcurrentHashMap<>();

    Decisions(LabIam iam, Duration kept) {
        this.iam = iam;
        this.kept = kept;
    }

    /** Whether each permission is allowed; what is not known is asked for in one request. */
    Map<Permission, Boolean> on(Collection<Permission> permissions) {
        long now = System.nanoTime();
        Map<Permission, Boolean> answers = new HashMap<>();
        for (Permission permission : permissions) {
            Decision decision = decisions.get(permission);
            if (decision != null && decision.valid(now)) {
                answers.put(permission, decision.allowed());
            }
        }
        List<Permission> unknown =
                permissions.stream().filter(permission -> !answers.containsKey(permission)).distinct().toList();
        if (!unknown.isEmpty()) {
            answers.putAll(ask(unknown));
        }
        return answers;
    }

    private Map<Permission, Boolean> ask(List<Permission> permissions) {
        if (decisions.size() > MOST_KEPT) {
            decisions.clear();
        }
        boolean[] allowed = request(permissions);
        long validUntil = System.nanoTime() + kept.toNanos();
        Map<Permission, Boolean> answers = new HashMap<>();
        for (int i = 0; i < allowed.length; i++) {
            answers.put(permissions.get(i), allowed[i]);
            decisions.put(permissions.get(i), new Decision(allowed[i], validUntil));
        }
        return answers;
    }

    private boolean[] request(List<Permission> permissions) {
        boolean[] allowed = new boolean[permissions.size()];
        try {
            JsonNode answer = iam.post("/authorize", permissions);
            for (int i = 0; i < allowed.length; i++) {
                allowed[i] = answer.path(i).path("allowed").asBoolean(false);
            }
        } catch (IOException unreachable) {
            LOG.error("no answer from lab-iam, so everything is denied: {}", unreachable.toString());
        }
        return allowed;
    }
}
