package rekognition

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rekognition"
	"github.com/aws/aws-sdk-go-v2/service/rekognition/types"

	"deckle/label"
)

// calls are what the detectors do.
var calls = map[string]func(*Service, context.Context, *types.Image) ([]label.Label, error){
	Objects: (*Service).objects, Faces: (*Service).faces, Celebrities: (*Service).celebrities, Unsafe: (*Service).unsafe, Text: (*Service).text,
}

// least is the threshold of a category as the service takes it.
func (s *Service) least(category string) *float32 {
	return aws.Float32(float32(s.config.Thresholds[category]))
}

// made makes a label of what the service says: confidences a little out of range are rounding.
func made(category string, name *string, confidence *float32) label.Label {
	return label.Label{Name: aws.ToString(name), Category: category, Confidence: min(100, max(0, float64(aws.ToFloat32(confidence))))}
}

func (s *Service) objects(ctx context.Context, image *types.Image) (labels []label.Label, err error) {
	said, err := s.client.DetectLabels(ctx, &rekognition.DetectLabelsInput{
		Image: image, MaxLabels: aws.Int32(int32(s.config.MaxObjects)), MinConfidence: s.least(label.Object),
	})
	if err != nil {
		return nil, err
	}
	for _, l := range said.Labels {
		labels = append(labels, made(label.Object, l.Name, l.Confidence))
	}
	return labels, nil
}

// faces says that there is a face, that it smiles when it does, how it looks to the service's eyes, and what it seems to feel; of
// several faces whatever is surest of any.
func (s *Service) faces(ctx context.Context, image *types.Image) (labels []label.Label, err error) {
	said, err := s.client.DetectFaces(ctx, &rekognition.DetectFacesInput{Image: image, Attributes: []types.Attribute{types.AttributeAll}})
	if err != nil {
		return nil, err
	}
	for _, face := range said.FaceDetails {
		labels = append(labels, made(label.Face, aws.String("face"), face.Confidence))
		if face.Smile != nil && face.Smile.Value {
			labels = append(labels, made(label.Face, aws.String("smile"), face.Smile.Confidence))
		}
		if face.Gender != nil {
			labels = append(labels, made(label.Face, aws.String(string(face.Gender.Value)), face.Gender.Confidence))
		}
		for _, e := range face.Emotions {
			if e.Type != types.EmotionNameUnknown {
				labels = append(labels, made(label.Face, aws.String(string(e.Type)), e.Confidence))
			}
		}
	}
	return labels, nil
}

func (s *Service) celebrities(ctx context.Context, image *types.Image) (labels []label.Label, err error) {
	said, err := s.client.RecognizeCelebrities(ctx, &rekognition.RecognizeCelebritiesInput{Image: image})
	if err != nil {
		return nil, err
	}
	for _, c := range said.CelebrityFaces {
		labels = append(labels, made(label.Celebrity, c.Name, c.MatchConfidence))
	}
	return labels, nil
}

func (s *Service) unsafe(ctx context.Context, image *types.Image) (labels []label.Label, err error) {
	said, err := s.client.DetectModerationLabels(ctx, &rekognition.DetectModerationLabelsInput{Image: image, MinConfidence: s.least(label.Unsafe)})
	if err != nil {
		return nil, err
	}
	for _, l := range said.ModerationLabels {
		labels = append(labels, made(label.Unsafe, l.Name, l.Confidence))
	}
	return labels, nil
}

// text says each line once: its words are in it.
func (s *Service) text(ctx context.Context, image *types.Image) (labels []label.Label, err error) {
	said, err := s.client.DetectText(ctx, &rekognition.DetectTextInput{Image: image})
	if err != nil {
		return nil, err
	}
	for _, t := range said.TextDetections {
		if t.Type == types.TextTypesLine && strings.TrimSpace(aws.ToString(t.DetectedText)) != "" {
			labels = append(labels, made(label.Text, t.DetectedText, t.Confidence))
		}
	}
	return labels, nil
}
