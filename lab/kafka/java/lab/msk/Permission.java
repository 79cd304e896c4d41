package lab.msk;

import java.util.Map;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.server.authorizer.Action;

/**
 * What must be allowed in IAM: an action on a resource.
 *
 * @param principal ARN of the assumed role's session
 * @param action {@code kafka-cluster:…}
 * @param resource ARN of the cluster, topic, group or transactional id
 */
record Permission(String principal, String action, String resource) {

    /**
     * Kafka's operation → MSK's action, as in AWS's service authorization reference for {@code kafka-cluster}.
     *
     * <p>Unlike Kafka's own ACLs, READ and WRITE do not imply DESCRIBE.
     */
    private static final Map<String, String> ACTIONS = Map.ofEntries(
            Map.entry("TOPIC/DESCRIBE", "DescribeTopic"),
            Map.entry("TOPIC/READ", "ReadData"),
            Map.entry("TOPIC/WRITE", "WriteData"),
            Map.entry("TOPIC/CREATE", "CreateTopic"),
            Map.entry("TOPIC/DELETE", "DeleteTopic"),
            Map.entry("TOPIC/ALTER", "AlterTopic"),
            Map.entry("TOPIC/DESCRIBE_CONFIGS", "DescribeTopicDynamicConfiguration"),
            Map.entry("TOPIC/ALTER_CONFIGS", "AlterTopicDynamicConfiguration"),
            Map.entry("GROUP/DESCRIBE", "DescribeGroup"),
            Map.entry("GROUP/READ", "AlterGroup"),
            Map.entry("GROUP/DELETE", "DeleteGroup"),
            Map.entry("TRANSACTIONAL_ID/DESCRIBE", "DescribeTransactionalId"),
            Map.entry("TRANSACTIONAL_ID/WRITE", "AlterTransactionalId"),
            Map.entry("CLUSTER/DESCRIBE", "DescribeCluster"),
            Map.entry("CLUSTER/ALTER", "AlterCluster"),
            Map.entry("CLUSTER/IDEMPOTENT_WRITE", "WriteDataIdempotently"),
            Map.entry("CLUSTER/DESCRIBE_CONFIGS", "DescribeClusterDynamicConfiguration"),
            Map.entry("CLUSTER/ALTER_CONFIGS", "AlterClusterDynamicConfiguration"));

    private static final String UNKNOWN = "(no such action)";

    /** What a Kafka operation needs; if MSK has no action for it, only {@code "Action": "*"} allows it. */
    static Permission of(String principal, Action action, String clusterArn) {
        ResourcePattern resource = action.resourcePattern();
        String name = ACTIONS.get(resource.resourceType() + "/" + action.operation());
        return new Permission(
                principal, name == null ? UNKNOWN : "kafka-cluster:" + name, arn(resource, clusterArn));
    }

    private static String arn(ResourcePattern resource, String clusterArn) {
        return switch (resource.resourceType()) {
            case TOPIC -> inCluster("topic", resource.name(), clusterArn);
            case GROUP -> inCluster("group", resource.name(), clusterArn);
            case TRANSACTIONAL_ID -> inCluster("transactional-id", resource.name(), clusterArn);
            default -> clusterArn;
        };
    }

    /** {@code …:cluster/NAME/UUID} → {@code …:topic/NAME/UUID/RESOURCE}. */
    private static String inCluster(String type, String name, String clusterArn) {
        return clusterArn.replaceFirst(":cluster/", ":" + type + "/") + "/" + name;
    }

    @Override
    public String toString() {
        return principal + " " + action + " " + resource;
    }
}
