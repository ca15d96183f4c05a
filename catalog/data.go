package catalog

// CheckData tells whether a text can be kept as the data of a record: ErrData, with the reason, when it cannot.
func CheckData(data string) error {
	_, err := storableData(data)
	return err
}
