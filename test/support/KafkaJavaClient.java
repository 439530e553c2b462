import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own client, for what Weir must understand of others and others of Weir. */
public class KafkaJavaClient {
  public static void main(String[] args) {
    String brokers = args[1];
    String topic = args[2];
    int count = Integer.parseInt(args[3]);
    if (args[0].equals("produce")) produce(brokers, topic, count, args[4].split(","));
    else consume(brokers, topic, count);
  }

  /** Writes `count` records with each compression: key `codec`, value `codec number`, every one with a header. */
  private static void produce(String brokers, String topic, int count, String[] codecs) {
    for (String codec : codecs) {
      Map<String, Object> config = Map.of("bootstrap.servers", brokers, "compression.type", codec, "linger.ms", "50");
      try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
        for (int i = 0; i < count; i++) {
          var record = new ProducerRecord<>(topic, 0, codec, codec + " " + i);
          record.headers().add("origin", "java".getBytes());
          producer.send(record);
        }
      }
    }
  }

  /** Prints the committed values of partition 0, until there were `count`. */
  private static void consume(String brokers, String topic, int count) {
    Map<String, Object> config = Map.of("bootstrap.servers", brokers, "isolation.level", "read_committed");
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
      var partition = List.of(new TopicPartition(topic, 0));
      consumer.assign(partition);
      consumer.seekToBeginning(partition);
      int seen = 0;
      long until = System.nanoTime() + 20_000_000_000L;
      while (seen < count && System.nanoTime() < until) {
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          System.out.println(record.value());
          seen++;
        }
      }
    }
  }
}
