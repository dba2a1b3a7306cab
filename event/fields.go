package event

// Fields lists the fields of an event by their JSON names, in the order in
// which people are shown them.
func Fields() []string {
	return []string{"id", "user_id", "object_id", "token", "type", "keys", "provider_key", "device", "tracking",
		"properties", "expiry_date", "destinations", "registered_at"}
}

// Members lists the fields within a field, in their order; none when it holds a
// value of its own.
func Members(field string) []string {
	switch field {
	case "keys":
		return []string{"p256dh", "auth"}
	case "device":
		return []string{"app_id", "ad_id", "device_id", "platform", "manufacturer", "model"}
	case "tracking":
		return []string{"os_version", "ip", "lat", "long"}
	}
	return nil
}
