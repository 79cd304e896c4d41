package lab.msk;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.server.authorizer.AclCreateResult;
import org.apache.kafka.server.authorizer.AclDeleteResult;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.apache.kafka.server.authorizer.Authorizer;
import org.apache.kafka.server.authorizer.AuthorizerServerInfo;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Enforces {@code kafka-cluster:*} actions as MSK does.
 *
 * <p>It decides by principal, not by listener: a request forwarded to the controller (CreateTopics and the like)
 * arrives on the controller's listener, still with the client's principal. Principals that are not ARNs did not log in
 * by IAM (plaintext, TLS, SCRAM, the brokers themselves) and may do everything, which is MSK's default
 * {@code allow.everyone.if.no.acl.found=true}.
 */
public final class IamAuthorizer implements Authorizer {

    private static final Logger LOG = LoggerFactory.getLogger(IamAuthorizer.class);

    private static final Duration DECISIONS_KEPT = Duration.ofSeconds(1);

    private LabIam iam;

    private Decisions decisions;

    @Override
    public void configure(Map<String, ?> configuration) {
        iam = new LabIam(configuration);
        decisions = new Decisions(iam, DECISIONS_KEPT);
    }

    @Override
    public Map<Endpoint, ? extends CompletionStage<Void>> start(AuthorizerServerInfo server) {
        Map<Endpoint, CompletionStage<Void>> started = new HashMap<>();
        server.endpoints().forEach(endpoint -> started.put(endpoint, CompletableFuture.completedFuture(null)));
        return started;
    }

    @Override
    public List<AuthorizationResult> authorize(AuthorizableRequestContext context, List<Action> actions) {
        if (!byIam(context)) {
            return actions.stream().map(action -> AuthorizationResult.ALLOWED).toList();
        }
        String principal = context.principal().getName();
        List<Permission> permissions = new ArrayList<>(actions.size());
        actions.forEach(action -> permissions.add(Permission.of(principal, action, iam.clusterArn())));
        Map<Permission, Boolean> allowed = decisions.on(permissions);
        List<AuthorizationResult> results = new ArrayList<>(actions.size());
        for (int i = 0; i < actions.size(); i++) {
            Permission permission = permissions.get(i);
            boolean granted = allowed.get(permission);
            if (!granted && actions.get(i).logIfDenied()) {
                LOG.warn("denied: {}", permission);
            }
            results.add(granted ? AuthorizationResult.ALLOWED : AuthorizationResult.DENIED);
        }
        return results;
    }

    /**
     * Kafka asks this where any one topic would do (an idempotent producer may go without IDEMPOTENT_WRITE if it may
     * write to some topic). MSK has no such shortcut: it wants {@code WriteDataIdempotently} on the cluster.
     */
    @Override
    public AuthorizationResult authorizeByResourceType(
            AuthorizableRequestContext context, AclOperation operation, ResourceType type) {
        return byIam(context) ? AuthorizationResult.DENIED : AuthorizationResult.ALLOWED;
    }

    private static boolean byIam(AuthorizableRequestContext context) {
        return context.principal().getName().startsWith("arn:");
    }

    @Override
    public List<? extends CompletionStage<AclCreateResult>> createAcls(
            AuthorizableRequestContext context, List<AclBinding> bindings) {
        throw governedByIam();
    }

    @Override
    public List<? extends CompletionStage<AclDeleteResult>> deleteAcls(
            AuthorizableRequestContext context, List<AclBindingFilter> filters) {
        throw governedByIam();
    }

    @Override
    public Iterable<AclBinding> acls(AclBindingFilter filter) {
        return List.of();
    }

    private static RuntimeException governedByIam() {
        return new UnsupportedVersionException("access to this cluster is governed by IAM policies");
    }

    @Override
    public void close() throws IOException {}
}
